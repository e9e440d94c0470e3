"""The smallest staged member of each family of timm that is not too large to build in a test."""

from __future__ import annotations

from regraft.networks.counting import accepts
from regraft.networks.zoo.catalogues import sized
from regraft.records import InputSpec, Recipe

FAMILIES = tuple(  # a text, for it reads and changes better than a list of strings
    """
    cait_xxs24_224 convit_tiny cpubone_nano cs3darknet_focus_s cspnext_tiny deit_tiny_patch16_224
    densenet121 dla46x_c dpn48b edgenext_xx_small efficientformer_l1 efficientformerv2_s0 efficientvit_b0
    efficientvit_m0 ese_vovnet19b_slim_dw fasternet_t0 fastvit_t8 gcvit_xxtiny ghostnet_050 gmlp_ti16_224
    halonet_h1 hardcorenas_b hgnetv2_b0 hrnet_w18_small iformer_t inception_next_atto lcnetv2_small
    legacy_seresnet18 levit_128s lowformer_b0 mobilenetv3_small_050 mobilevit_xxs poolformerv2_s12 pvt_v2_b0
    regnetx_002 repghostnet_050 repvit_m1 resnest14d resnetv2_18 rexnet_100 shvit_s1 skresnet18 starnet_s050
    swiftformer_xs test_byobnet test_coatnet test_convnext test_efficientnet test_mambaout test_nfnet
    test_resnet test_vit test_vit_relpos tiny_vit_5m_224 visformer_tiny vit_tiny_r_s16_p8_224 davit_tiny
    eva02_tiny_patch14_224 focalnet_tiny_srf hiera_tiny_224 nest_tiny nextvit_small rdnet_tiny res2next50
    selecsls42 sequencer2d_s swin_tiny_patch4_window7_224 swinv2_cr_tiny_224 vitamin_small_224 volo_d1_224
    xception41p
    """.split()  # noqa: SIM905
)


def small_side(recipe: Recipe, spec: InputSpec) -> int:
    """A small input that the network takes without being built otherwise; token networks have one size."""
    if sized(recipe, 96) != recipe or spec.size_px <= 96:
        return spec.size_px
    return 96 if accepts(recipe, spec.channels, 96) else spec.size_px
