"""How many views of the activations at a cut the disk may hold."""

from __future__ import annotations

from regraft.features.activations import Activations, free_bytes
from regraft.progress import Reporter
from regraft.settings import TrainSettings
from regraft.storage import size_in_bytes


def kept_views(
    settings: TrainSettings, activations: Activations, *, images: int, where: str, reporter: Reporter
) -> int:
    """How many views are kept, decided before anything is written, and said; 0 keeps none.

    Args:
        settings: of the training.
        activations: knows how large a row is, and whether there is a prefix.
        images: how many there are.
        where: the cut, in words.
        reporter: is told what was decided, and why.
    """
    wanted = settings.views or settings.epochs or 1
    each = images * activations.row_bytes
    budget = min(size_in_bytes(settings.cache_budget), 0.5 * free_bytes())
    fitting = int(budget // max(1, each))
    size = f"{images:,} images x {activations.row_bytes / 1e3:,.0f} kB = {each / 1e6:,.1f} MB a view"
    if settings.cache == "never" or (settings.cache == "auto" and fitting == 0):
        because = f"{size}, budget {budget / 1e9:.1f} GB" if settings.cache == "auto" else "it was asked for"
        reporter.decided(f"no activations kept {where}", because, "--cache, --cache-budget")
        return 0
    if activations.runtime is None and settings.views == 0 and settings.cache == "auto":
        because = "each view is seen once, and decoding costs little beside training all stages"
        reporter.decided("images decoded as they are needed", because, "--cache always")
        return 0
    kept = max(1, min(wanted, fitting))
    # What the disk has free is not the same twice: it is said only where it decides.
    what = "view" if wanted == 1 else "views" if kept == wanted else f"views, {kept} kept at a time"
    limit = settings.cache_budget if kept == wanted else f"{budget / 1e9:.1f} GB"
    because = f"{size}, and {limit} may be used"
    reporter.decided(f"activations kept {where}: {wanted} {what}", because, "--cache")
    return kept
