"""A study's plots as one page that needs no network."""

import html

import optuna


def study_page(study: optuna.Study) -> str:
    """Returns an HTML page: history, importances, slices and parallel coordinates."""
    from optuna import visualization as v
    from plotly.offline import get_plotlyjs

    figures = [v.plot_optimization_history(study), v.plot_slice(study), v.plot_parallel_coordinate(study)]
    finished = study.get_trials(states=[optuna.trial.TrialState.COMPLETE])
    if len({trial.value for trial in finished}) > 1:
        figures.insert(1, v.plot_param_importances(study))
    parts = [figure.to_html(full_html=False, include_plotlyjs=False) for figure in figures]
    head = f"<meta charset='utf-8'><title>{html.escape(study.study_name)}</title><script>{get_plotlyjs()}</script>"
    return (
        f"<!doctype html><html><head>{head}</head><body style='font-family: sans-serif'>{''.join(parts)}</body></html>"
    )
