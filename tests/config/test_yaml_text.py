import pytest
from hypothesis import given
from hypothesis import strategies as st
from omegaconf import OmegaConf

from medfit.config.compose import compose
from medfit.config.yaml_text import as_yaml

# without surrogates and the characters that no YAML holds bare; "${" begins an interpolation
TEXT = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=12).filter(lambda text: "${" not in text)
WORDS = st.sampled_from(
    ["1e-3", "1e3", ".5", "inf", "nan", "1_000", "yes", "off", "null", "~", "0x1F", "1:30", "", " a", "#", "- x"]
)
LEAVES = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXT | WORDS
VALUES = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT | WORDS, inner, max_size=3)
)


@given(st.dictionaries(TEXT | WORDS, VALUES, max_size=4))
def test_what_is_written_is_read_as_it_was(values):
    assert OmegaConf.to_container(OmegaConf.create(as_yaml(values))) == values


@pytest.mark.parametrize("experiment", ["breast_cancer_diagnosis", "ecg_classification", "hippocampus_segmentation"])
def test_a_config_is_written_as_omegaconf_does(experiment):
    cfg = compose([f"experiment={experiment}"])
    assert as_yaml(OmegaConf.to_container(cfg)) == OmegaConf.to_yaml(cfg)


def test_what_comes_twice_is_written_twice():
    twice = [1, 2]
    assert as_yaml({"a": twice, "b": twice}) == "a:\n- 1\n- 2\nb:\n- 1\n- 2\n"
