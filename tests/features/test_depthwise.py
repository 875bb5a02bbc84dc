"""Depthwise convolution between two activations, against the same three steps of torch in float64."""

from __future__ import annotations

from math import inf

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from timm.layers import Conv2dSame
from torch import nn

from hashbench.features.depthwise import depthwise, is_depthwise, limits_of

ACTIVATIONS = {"none": nn.Identity(), "relu": nn.ReLU(), "relu6": nn.ReLU6(), "hardtanh": nn.Hardtanh(-0.5, 0.7)}


def test_limits_are_those_of_activations_that_cut_off_and_of_no_others():
    found = {name: limits_of(activation) for name, activation in ACTIVATIONS.items()}
    assert found == {"none": (-inf, inf), "relu": (0, inf), "relu6": (0, 6), "hardtanh": (-0.5, 0.7)}
    assert limits_of(nn.SiLU()) is limits_of(nn.LeakyReLU()) is None


@pytest.mark.parametrize(
    ("said", "fits"),
    [
        ({}, True),
        ({"stride": 2, "padding": 1}, True),
        ({"padding": "valid"}, False),
        ({"padding": "same"}, False),
        ({"groups": 2}, False),
        ({"out_channels": 8}, False),
        ({"dilation": 2}, False),
        ({"kernel_size": (3, 1)}, False),
        ({"stride": (1, 2)}, False),
        ({"padding": (0, 1)}, False),
        ({"padding": 1, "padding_mode": "reflect"}, False),
    ],
)
def test_only_a_group_a_channel_with_all_sides_alike_fits(said, fits):
    given = {"in_channels": 4, "out_channels": 4, "kernel_size": 3, "groups": 4, **said}
    assert is_depthwise(nn.Conv2d(**given)) is fits


@settings(deadline=None)  # the first call compiles
@given(data=st.data())
def test_it_is_the_three_steps_of_torch_forward_and_backward(data):
    draw = data.draw
    channels, images, size = draw(st.integers(1, 9)), draw(st.integers(1, 3)), draw(st.integers(1, 7))
    kernel, stride = draw(st.sampled_from([1, 2, 3, 5])), draw(st.integers(1, 3))
    torch.manual_seed(draw(st.integers(0, 99)))
    if draw(st.booleans()):
        convolution: nn.Conv2d = Conv2dSame(channels, channels, kernel, stride, groups=channels)
    else:
        padding = draw(st.integers(max(0, (kernel - size + 1) // 2), kernel))
        convolution = nn.Conv2d(channels, channels, kernel, stride, padding, groups=channels)
    before, after = (ACTIVATIONS[draw(st.sampled_from(sorted(ACTIVATIONS)))] for _ in range(2))
    maps = (torch.randn(images, channels, size, size) * 4).requires_grad_()
    weight, bias = (
        torch.randn(channels, 1, kernel, kernel, requires_grad=True),
        torch.randn(channels, requires_grad=True),
    )

    exact = [each.detach().double().requires_grad_() for each in (maps, weight, bias)]
    expected = after(torch.func.functional_call(
        convolution.double(), {"weight": exact[1], "bias": exact[2]}, (before(exact[0]),)
    ))  # fmt: skip
    assert is_depthwise(convolution)
    found = depthwise(convolution, maps, weight, bias, limits_of(before), limits_of(after))
    torch.testing.assert_close(found.double(), expected, rtol=1e-5, atol=1e-5)

    slopes = torch.randn_like(found)
    wanted = torch.autograd.grad(expected, exact, slopes.double())
    for each, other in zip(torch.autograd.grad(found, (maps, weight, bias), slopes), wanted, strict=True):
        torch.testing.assert_close(each.double(), other, rtol=1e-4, atol=1e-4)


def test_gradients_stop_at_the_limits_themselves_as_in_torch():
    convolution = nn.Conv2d(1, 1, 1, groups=1)
    maps = torch.tensor([-1.0, 0.0, 3.0, 6.0, 7.0]).reshape(5, 1, 1, 1).requires_grad_()
    limits = limits_of(nn.ReLU6())
    found = depthwise(convolution, maps, torch.ones(1, 1, 1, 1), torch.zeros(1), limits, limits)
    found.sum().backward()
    assert maps.grad.flatten().tolist() == [0, 0, 1, 0, 0]


def test_what_follows_may_change_the_result_in_place_and_what_is_no_number_stays_so():
    convolution, limits = nn.Conv2d(1, 1, 1), limits_of(nn.ReLU6())
    maps, weight = torch.tensor([[[[2.0]]], [[[float("nan")]]]], requires_grad=True), torch.ones(1, 1, 1, 1)
    found = depthwise(convolution, maps, weight, torch.zeros(1), limits, limits_of(nn.Identity()))
    nn.functional.silu(found, inplace=True).sum().backward()
    assert torch.cat([found, maps.grad], 1).isnan().flatten().tolist() == [False, False, True, True]


def test_sums_over_many_images_lose_no_digits():
    """A weight's gradient has a term a place and image: 200,000 here, all positive, the worst case for rounding."""
    convolution = nn.Conv2d(1, 1, 1, groups=1)
    maps, weight = torch.rand(800, 1, 16, 16), torch.ones(1, 1, 1, 1, requires_grad=True)
    found = depthwise(convolution, maps, weight, torch.zeros(1), (-inf, inf), (-inf, inf))
    (slope,) = torch.autograd.grad(found.sum(), weight)
    assert float(slope) == pytest.approx(float(maps.double().sum()), rel=2e-6)
