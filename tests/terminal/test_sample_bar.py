from medfit.terminal.console import console
from medfit.terminal.sample_bar import SampleBar


def test_samples_are_counted_but_not_where_one_batch_is_all():
    with console.capture() as captured, SampleBar() as bar:
        bar.show(8, 8)
    assert captured.get() == ""
    with console.capture() as captured, SampleBar() as bar:
        bar.show(4, 8)
        bar.show(8, 8)
    assert "samples" in captured.get() and "8/8" in captured.get()
