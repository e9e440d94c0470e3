from __future__ import annotations

from regraft.advice.better_network import better_network

ANY = 1e12


def test_the_network_with_the_best_prior_is_named() -> None:
    better = better_network("squeezenet1_1", here=["tf_efficientnet_lite0"], most_multiply_adds=ANY)
    assert better is not None
    assert (better.network, better.is_here) == ("efficientnet_b7", False)
    assert "regraft weights fetch efficientnet_b7" in better.described


def test_a_network_on_this_machine_needs_no_download() -> None:
    better = better_network("squeezenet1_1", here=["efficientnet_b0"], most_multiply_adds=0.39e9)
    assert better is not None
    assert better.is_here
    assert better.described.endswith("times the work for an image: --network efficientnet_b0")


def test_a_difference_below_a_point_is_not_clear() -> None:
    """The prior differs by 0.4 points between the two MobileNets, which are the smallest by far."""
    assert better_network("mobilenetv1_100", here=["mobilenetv2_100"], most_multiply_adds=0.31e9) is None


def test_nothing_is_said_of_a_network_that_the_prior_does_not_know() -> None:
    assert better_network("my_own", here=["efficientnet_b0"], most_multiply_adds=ANY) is None
