"""Facts from timm and torchvision about their networks: recipes, inputs, weights and licences."""

from __future__ import annotations

from regraft.networks.zoo.cards import card, cards, unknown
from regraft.records import InputSpec, Recipe


def find_recipe(name: str) -> tuple[Recipe, InputSpec]:
    """The recipe and input of the network of that name, from the zoo, timm or torchvision.

    Raises:
        UnknownNetworkError: no library has a network of that name.
    """
    known = card(name)
    if known:
        return known.recipe, known.input_spec
    import timm

    if timm.is_model(name):
        return Recipe(library="timm", name=name), timm_input(name)
    if _in_torchvision(name):
        return Recipe(library="torchvision", name=name), torchvision_input(name)
    raise unknown(name, [*cards(), *timm.list_models(), *_torchvision_names()])


def timm_input(name: str) -> InputSpec:
    """The input that timm's default weights of a network expect."""
    from timm.data import resolve_data_config
    from timm.models import get_pretrained_cfg

    published = get_pretrained_cfg(name)
    config = resolve_data_config(pretrained_cfg=published.to_dict() if published else {})
    channels, size = config["input_size"][0], config["input_size"][1]
    return InputSpec.model_validate(
        {
            "size_px": size,
            "channels": channels,
            "mean": tuple(config["mean"]),
            "std": tuple(config["std"]),
            "interpolation": config["interpolation"],
            "crop_share": config["crop_pct"],
        }
    )


def hub_of(name: str) -> str | None:
    """Where the default weights of a network are published: `timm/NAME.TAG`, an address, or None."""
    known = card(name)
    return known.hub if known else published_at(find_recipe(name)[0])


def published_at(recipe: Recipe) -> str | None:
    """Where the recipe's library publishes its default weights, as in `hub_of`."""
    from timm.models import get_pretrained_cfg

    name = recipe.name
    published = get_pretrained_cfg(name) if recipe.library == "timm" else None
    if published:
        return published.hf_hub_id or published.url or None
    if recipe.library == "torchvision":
        from torchvision.models import get_model_weights

        return str(get_model_weights(name).DEFAULT.url)
    return None


def torchvision_input(name: str) -> InputSpec:
    """The input that torchvision's default weights of a network expect."""
    from torchvision.models import get_model_weights

    transforms = get_model_weights(name).DEFAULT.transforms()
    crop, resize = transforms.crop_size[0], transforms.resize_size[0]
    spec = InputSpec(size_px=crop, interpolation=transforms.interpolation.value, crop_share=crop / resize)
    if name in ("googlenet", "inception_v3"):  # the networks themselves rescale to this
        spec = spec.model_copy(update={"mean": (0.5, 0.5, 0.5), "std": (0.5, 0.5, 0.5)})
    return spec


def _in_torchvision(name: str) -> bool:
    return name in _torchvision_names()


def _torchvision_names() -> list[str]:
    from torchvision import models

    return list(models.list_models(module=models))


def licence_of(name: str) -> str:
    """The licence of the default weights of a network; `unknown` if none is stated."""
    known = card(name)
    return known.licence if known else stated_licence(find_recipe(name)[0])


def stated_licence(recipe: Recipe) -> str:
    """The licence that the recipe's library states; `unknown` if it states none."""
    from timm.models import get_pretrained_cfg

    published = get_pretrained_cfg(recipe.name) if recipe.library == "timm" else None
    if published:
        return str(published.license or "unknown")
    return "bsd-3-clause" if recipe.library == "torchvision" else "unknown"


def sized(recipe: Recipe, side: int) -> Recipe:
    """The recipe for images of another size; only some networks, mostly with tokens, need a change."""
    if recipe.library == "torchvision" and recipe.name.startswith("vit_"):
        return recipe.model_copy(update={"kwargs": {**recipe.kwargs, "image_size": side}})
    if recipe.library != "timm":
        return recipe
    from timm.models import get_pretrained_cfg

    published = get_pretrained_cfg(recipe.name)
    if not (published and published.fixed_input_size):
        return recipe
    return recipe.model_copy(update={"kwargs": {**recipe.kwargs, "img_size": side}})
