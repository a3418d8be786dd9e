from medfit.terminal.console import show_table


def test_a_tables_cells_are_shown_as_they_are(capsys):
    show_table("Scores", ["model", "[auroc]"], [["unet dataset.classes=[background,tumour]", "0.5"]])
    shown = capsys.readouterr().out
    assert "unet dataset.classes=[background,tumour]" in shown and "[auroc]" in shown
