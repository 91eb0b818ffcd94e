"""Embeddings of images beside each other are those of one after the other."""

import numpy as np
import pytest

from facebench.harness.models.answers import of_each
from facebench.harness.stats.arrays import FloatArray

IMAGES = np.arange(50 * 3 * 4, dtype=np.float32).reshape(50, 3, 2, 2)


def test_embeddings_come_in_the_order_of_their_images() -> None:
    def embed(image: FloatArray) -> FloatArray:
        assert image.shape == (1, 3, 2, 2)
        return image.sum(axis=(2, 3))

    np.testing.assert_array_equal(of_each(IMAGES, embed), IMAGES.sum(axis=(2, 3)))


def test_an_error_at_one_image_is_raised() -> None:
    def embed(image: FloatArray) -> FloatArray:
        if image[0, 0, 0, 0] == IMAGES[7, 0, 0, 0]:
            raise ValueError("image 7")
        return image[:, :, 0, 0]

    with pytest.raises(ValueError, match="image 7"):
        of_each(IMAGES, embed)
