"""A study's plots as one page that needs no network."""

import html
import warnings
from typing import Any

import optuna
from optuna.trial import TrialState


def study_page(study: optuna.Study) -> str:
    """Returns an HTML page: history, importances, slices and parallel coordinates.

    With several objectives, the Pareto front, and all but the importances for each.
    """
    from optuna import visualization as v  # late: a quick start
    from plotly.offline import get_plotlyjs

    names = study.metric_names or [f"objective {index}" for index in range(len(study.directions))]
    figures = [v.plot_pareto_front(study, target_names=names)] if 1 < len(names) < 4 else []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of importances that rest on few trials
        for index, name in enumerate(names):
            figures += _of_objective(study, index, name)
    parts = [figure.to_html(full_html=False, include_plotlyjs=False) for figure in figures]
    head = f"<meta charset='utf-8'><title>{html.escape(study.study_name)}</title><script>{get_plotlyjs()}</script>"
    return (
        f"<!doctype html><html><head>{head}</head><body style='font-family: sans-serif'>{''.join(parts)}</body></html>"
    )


def _of_objective(study: optuna.Study, index: int, name: str) -> list[Any]:
    from optuna import visualization as v  # late: a quick start

    plots: list[Any] = [v.plot_optimization_history, v.plot_slice, v.plot_parallel_coordinate]
    if len(study.directions) > 1:
        return [plot(study, target=lambda trial: trial.values[index], target_name=name) for plot in plots]
    finished = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    if len({trial.value for trial in finished}) > 1:
        plots.insert(1, v.plot_param_importances)
    return [plot(study, target_name=name) for plot in plots]
