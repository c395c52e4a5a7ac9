"""A batch goes through a network in parts, in threads of their own, and learns the same."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
import torch
from torch import Tensor, nn

from napari_mdeblurgan.network import Generator, Network, UNetSuperResolution
from napari_mdeblurgan.network.block_threads import Blocks, OneByOne, block_threads
from napari_mdeblurgan.network.discriminator import Discriminator, frozen
from napari_mdeblurgan.network.network import Restoration
from napari_mdeblurgan.stopping import Stopped, stoppable
from napari_mdeblurgan.training.batch_threads import in_parts
from napari_mdeblurgan.training.heeding import heed_backwards


@pytest.fixture
def blocks() -> Iterator[Blocks]:
    """Two threads, whatever machine this is."""
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    with block_threads() as threads:
        yield threads
    torch.set_num_threads(before)


def generator(kind: type[Network] = Generator) -> Network:
    torch.manual_seed(0)
    network = kind(channels=1, width=2)
    for weights in network.parameters():
        if weights.ndim == 4:  # none is 0, as some are before anything is learned
            nn.init.normal_(weights, std=0.2)
    return network


def explained(network: Network, images: Tensor, blocks: Blocks) -> Restoration:
    return Restoration(*in_parts(network, network.explain, images, blocks))


def learned(
    network: Network, images: Tensor, blocks: Blocks
) -> tuple[Restoration, dict[str, Tensor | None]]:
    """What it makes of images, and the gradients of a loss."""
    network.zero_grad()
    made = explained(network, images, blocks)
    target = torch.linspace(0, 1, made.output.numel()).reshape(made.output.shape)
    loss = (made.output - target).square().mean()
    if network.explains:
        loss = loss + made.distances.square().mean()
    loss.backward()
    return made, {
        name: None if each.grad is None else each.grad.clone()
        for name, each in network.named_parameters()
    }


@pytest.mark.parametrize("batch", [2, 3, 8])
@pytest.mark.parametrize("kind", [Generator, UNetSuperResolution])
def test_images_and_gradients_are_those_of_the_whole_batch(
    blocks: Blocks, kind: type[Network], batch: int
) -> None:
    network, images = generator(kind).double(), torch.rand(batch, 1, 16, 24).double()
    whole, expected = learned(network, images, OneByOne())
    made, found = learned(network, images, blocks)
    for own, other in zip(made, whole, strict=True):
        torch.testing.assert_close(own, other, equal_nan=True)  # there may be no distances
    assert any(gradient is not None for gradient in expected.values())
    assert found.keys() == expected.keys()
    for name, gradient in expected.items():
        torch.testing.assert_close(found[name], gradient)


def test_the_same_batch_gives_the_same_bits(blocks: Blocks) -> None:
    network, images = generator(), torch.rand(5, 1, 16, 16)
    _, first = learned(network, images, blocks)
    for _ in range(5):
        _, again = learned(network, images, blocks)
        assert all(torch.equal(again[name], gradient) for name, gradient in first.items())


def test_parts_are_at_work_at_the_same_time_each_on_processors_of_its_own(
    blocks: Blocks,
) -> None:
    network, together, seen = generator(), threading.Barrier(2, timeout=20), []

    def look(*_: object) -> None:
        together.wait()
        seen.append((threading.get_ident(), torch.get_num_threads()))

    network.register_forward_pre_hook(look)
    list(network.modules())[-1].register_full_backward_hook(look)
    inner = network.explain
    network.explain = lambda image: (look(), inner(image))[1]  # type: ignore[method-assign]
    learned(network, torch.rand(4, 1, 16, 16), blocks)
    assert [processors for _, processors in seen] == [1] * 4  # forth and back
    assert threading.get_ident() not in {thread for thread, _ in seen}
    assert torch.get_num_threads() == 2


def test_what_is_not_learned_gets_no_gradient(blocks: Blocks) -> None:
    network = generator()
    for weights in network.deblurring.parameters():
        weights.requires_grad_(False)
    _, found = learned(network, torch.rand(2, 1, 16, 16), blocks)
    frozen = {f"deblurring.{name}" for name, _ in network.deblurring.named_parameters()}
    assert {name for name, gradient in found.items() if gradient is None} >= frozen
    assert any(gradient is not None for gradient in found.values())


def test_the_gradient_goes_on_to_what_the_images_were_made_of(blocks: Blocks) -> None:
    torch.manual_seed(0)
    judge, images = Discriminator(1, 2), torch.rand(5, 1, 16, 16)
    found = []
    for how in (OneByOne(), blocks):
        given = images.clone().requires_grad_()
        with frozen(judge):
            *features, logits = in_parts(
                judge, lambda part: (*judge.features(part), judge(part)), given, how
            )
            (logits.square().sum() + features[1].square().sum()).backward()
        found.append((logits.detach(), given.grad))
        assert all(weights.grad is None for weights in judge.parameters())
    for whole, parts in zip(*found, strict=True):
        torch.testing.assert_close(parts, whole)
    assert found[0][1].abs().max() > 0


def test_nothing_is_kept_where_nothing_is_learned(blocks: Blocks) -> None:
    network, images = generator(), torch.rand(4, 1, 16, 16)
    with torch.no_grad():
        made = explained(network, images, blocks)
    assert not any(each.requires_grad for each in made)
    torch.testing.assert_close(made.output, network.explain(images).output.detach())


def test_precision_is_that_of_the_whole_step(blocks: Blocks) -> None:
    network, images = generator(), torch.rand(2, 1, 16, 16)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        rough = explained(network, images, blocks).output
        whole = network.explain(images).output
    exact = network.explain(images).output
    torch.testing.assert_close(rough, whole)
    assert not torch.equal(rough, exact)


def test_patches_that_make_a_difference_to_each_other_stay_together(blocks: Blocks) -> None:
    class Normalised(Generator):
        def __init__(self) -> None:
            super().__init__(channels=1, width=2)
            self.norm = nn.BatchNorm2d(1)

        def explain(self, image: Tensor) -> Restoration:
            return super().explain(self.norm(image))

    network = Normalised()
    images = torch.rand(2, 1, 16, 16) * torch.tensor([1.0, 9.0])[:, None, None, None]
    explained(network, images, blocks)
    torch.testing.assert_close(network.norm.running_mean, 0.1 * images.mean()[None])


@pytest.mark.parametrize("looks", [1, 40, 120])
def test_a_step_is_stopped_on_its_way_forth_and_back(blocks: Blocks, looks: int) -> None:
    network, seen = generator(), []
    heed_backwards(network)

    def asked() -> bool:
        seen.append(None)
        return len(seen) > looks

    with pytest.raises(Stopped), stoppable(asked):
        learned(network, torch.rand(4, 1, 16, 16), blocks)
    assert len(seen) > looks
