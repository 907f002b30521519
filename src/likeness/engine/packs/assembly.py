"""Assembly of networks from a manifest and verified weights."""

from collections.abc import Callable

import numpy as np

from likeness.engine.conversion import face_landmarks_weights, mtcnn_weights, retail_0095_weights, sface_weights
from likeness.engine.conversion.adaptation import first_outputs, resize_input, restore_weights, take_pixels
from likeness.engine.conversion.graph import Shape
from likeness.engine.detection import Detector
from likeness.engine.detection.locator import LandmarkLocator
from likeness.engine.detection.yunet import STRIDES, YuNet
from likeness.engine.landmarks import LandmarkEstimator
from likeness.engine.packs.manifest import DetectorRecipe, LandmarksRecipe, Manifest, PadRecipe, RecogniserRecipe
from likeness.engine.packs.store import WeightStore
from likeness.engine.pad import PadModel
from likeness.engine.recognition import Recogniser
from likeness.engine.runtime import Network
from likeness.errors import SetupError

LoadNetwork = Callable[[bytes], Network]
YUNET_OUTPUTS: tuple[Shape, ...] = tuple((1, "n", size) for size in (1, 1, 4) for _ in STRIDES)
"""Shapes of class, objectness and box, each at every stride. The landmark outputs after them are not used."""


def assemble_detector(manifest: Manifest, recipe: DetectorRecipe, store: WeightStore, load: LoadNetwork) -> Detector:
    """Load a pack's detector. Its weights are converted if they are in another format."""

    def network(role: str) -> Network:
        return load(store.read_as(manifest.file(recipe.files[role]), _CONVERTERS[recipe.kind, role]))

    return YuNet(network("network"), LandmarkLocator(network("output")))


def assemble_recogniser(
    manifest: Manifest, recipe: RecogniserRecipe, store: WeightStore, load: LoadNetwork, *, eight_bits: bool = False
) -> Recogniser:
    """Load one of a pack's recognition networks.

    ``eight_bits`` chooses the form for processors that multiply bytes fast, if the network has one. Raises SetupError
    for a network that does not match the recipe.
    """
    weights = manifest.file(recipe.file)
    network = load(store.read_as(weights, lambda file: _recogniser(file, recipe, eight_bits=eight_bits)))
    _try_out(network, recipe)
    return Recogniser(
        network=network,
        side=recipe.side,
        reference=np.array(recipe.reference, np.float32),
        views=recipe.views,
        weight=recipe.weight,
        template_size=recipe.template_size,
        usual_length=recipe.usual_length,
    )


def _try_out(network: Network, recipe: RecogniserRecipe) -> None:
    """Run a network on two grey faces, so that the start fails if it takes no batches or returns something else."""
    try:
        outputs = list(network.run(pixels=np.full((2, recipe.side, recipe.side, 3), 128, np.uint8)).values())
    except Exception as error:  # the runtime raises its own unrelated exception types
        raise SetupError(
            f"The network in {recipe.file} does not run on two faces at once, with the input (2, 3, {recipe.side}, "
            f"{recipe.side}): {error}"
        ) from error
    if len(outputs) != 1 or outputs[0].size != 2 * recipe.template_size or not np.isfinite(outputs[0]).all():
        raise SetupError(
            f"The network in {recipe.file} does not return one template of {recipe.template_size} numbers for each "
            f"face."
        )


def assemble_pad(manifest: Manifest, recipe: PadRecipe, store: WeightStore, load: LoadNetwork) -> PadModel:
    """Load one of a pack's PAD models."""
    model = store.read_as(manifest.file(recipe.file), lambda file: _pixels(file, recipe))
    return PadModel(recipe.model, load(model), recipe.side, recipe.crop, recipe.live_output)


def assemble_landmarks(
    manifest: Manifest, recipe: LandmarksRecipe, store: WeightStore, load: LoadNetwork
) -> LandmarkEstimator:
    """Load a pack's network for the landmarks of the whole face."""
    return LandmarkEstimator(load(store.read_as(manifest.file(recipe.file), face_landmarks_weights.landmark_network)))


def _yunet(file: bytes) -> bytes:
    used = first_outputs(restore_weights(file), len(YUNET_OUTPUTS))
    resized = resize_input(used, (1, 3, "height", "width"), YUNET_OUTPUTS)
    return take_pixels(
        resized, height="height", width="width", mean=(0, 0, 0), deviation=(1, 1, 1), reverse_channels=True
    )


def _recogniser(file: bytes, recipe: RecogniserRecipe, *, eight_bits: bool) -> bytes:
    if recipe.format == "retail-0095":
        return retail_0095_weights.retail_0095_network(file)
    if recipe.format == "sface":
        return sface_weights.sface_network(file, eight_bits=eight_bits)
    resized = resize_input(file, ("n", 3, recipe.side, recipe.side), [("n", recipe.template_size)])
    return _pixels(resized, recipe)


def _pixels(file: bytes, recipe: RecogniserRecipe | PadRecipe) -> bytes:
    return take_pixels(
        file,
        height=recipe.side,
        width=recipe.side,
        mean=recipe.mean,
        deviation=recipe.deviation,
        reverse_channels=recipe.channels == "BGR",
    )


def _output_network(file: bytes) -> bytes:
    return mtcnn_weights.output_network(mtcnn_weights.read_weights(file))


_CONVERTERS: dict[tuple[str, str], Callable[[bytes], bytes]] = {
    ("yunet", "network"): _yunet,
    ("yunet", "output"): _output_network,
}
