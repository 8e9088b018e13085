"""Drawn clips on disk: pictures as JPEGs, what is known of them beside.  To draw them again costs far more."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from amr_blender.contract.files import written_whole

from .picture_clips import PictureClip

_QUALITY = 92


def save_pictures(path: Path, clip: PictureClip) -> None:
    """One archive, written whole."""
    files = [cv2.imencode(".jpg", image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])[1] for image in clip.images]
    with written_whole(path) as stream:
        np.savez(
            stream,
            files=np.concatenate([file.reshape(-1) for file in files]),
            ends=np.cumsum([len(file) for file in files]),
            corner_px=clip.corner_px,
            scale=clip.scale,
            visible=clip.visible,
            silhouette=np.packbits(clip.silhouette, axis=-1),
            width=clip.silhouette.shape[-1],
        )


def load_pictures(path: Path) -> PictureClip:
    """What :func:`save_pictures` wrote."""
    with np.load(path, allow_pickle=False) as z:
        parts = np.split(z["files"], z["ends"][:-1])
        images = np.stack([cv2.imdecode(part, cv2.IMREAD_COLOR)[..., ::-1] for part in parts])
        silhouette = np.unpackbits(z["silhouette"], axis=-1, count=int(z["width"])).astype(bool)
        return PictureClip(images, z["corner_px"], float(z["scale"]), z["visible"], silhouette)
