"""Which part of a network is learned."""

from __future__ import annotations

from napari_mdeblurgan.errors import TrainingError
from napari_mdeblurgan.fine_tuning.settings import NetworkPart
from napari_mdeblurgan.network import Network


def learn_only(network: Network, part: NetworkPart) -> None:
    """Let only one part of the network change.

    Raises
    ------
    TrainingError
        If the network is of another kind, which has no such parts.
    """
    if part == "all":
        return
    if part not in network.parts:
        raise TrainingError(
            f"A network of the kind {network.name} has no such part that could be learned on its "
            "own; choose to learn all of it."
        )
    network.requires_grad_(False)
    for module in network.parts[part]:
        module.requires_grad_(True)
