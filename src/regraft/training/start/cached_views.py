"""How many views of the activations at a cut are kept on disk."""

from __future__ import annotations

from regraft.features.activations import Activations
from regraft.progress import Reporter
from regraft.settings import TrainSettings
from regraft.storage.places import free_bytes, size_in_bytes


def kept_views(
    settings: TrainSettings, activations: Activations, *, images: int, where: str, reporter: Reporter
) -> int:
    """The number of views to keep, decided and reported before anything is written; 0 for none.

    Args:
        settings: training settings.
        activations: the activations, whose row size and prefix matter here.
        images: number of images.
        where: the cut, in words.
        reporter: receives what was decided, and why.
    """
    wanted = settings.views or settings.epochs or 1
    each = images * activations.row_bytes
    budget = min(size_in_bytes(settings.cache_budget), 0.5 * free_bytes())
    fitting = int(budget // max(1, each))
    size = f"{images:,} images x {activations.row_bytes / 1e3:,.0f} kB = {each / 1e6:,.1f} MB per view"
    if settings.cache == "never" or (settings.cache == "auto" and fitting == 0):
        because = f"{size}, budget {budget / 1e9:.1f} GB" if settings.cache == "auto" else "of --cache never"
        reporter.decided(f"no activations kept in the cache {where}", because, "--cache, --cache-budget")
        return 0
    if activations.runtime is None and settings.views == 0 and settings.cache == "auto":
        because = "each view is seen once, and decoding takes little time compared with training all stages"
        reporter.decided("images decoded as they are needed", because, "--cache always")
        return 0
    kept = max(1, min(wanted, fitting))
    # Free disk space differs from run to run, so it is reported only where it decides.
    what = "view" if wanted == 1 else "views" if kept == wanted else f"views, {kept} kept at a time"
    limit = settings.cache_budget if kept == wanted else f"{budget / 1e9:.1f} GB"
    because = f"{size}, and {limit} may be used"
    reporter.decided(f"activations kept {where}: {wanted} {what}", because, "--cache")
    return kept
