from medfit.train import train


def test_a_training_returns_the_scores_of_the_validation_split(compose):
    scores = train(compose("regime=smoke"))
    assert scores["val/auroc"] > 0.8
    assert not any(name.startswith("test/") for name in scores)
