"""A layout that remembers what was drawn in it; the bpy wheel has no region to draw in."""


class Drawn:
    """What one ``draw`` has shown."""

    def __init__(self):
        self.labels, self.operators, self.properties, self.bars = [], [], [], []

    @property
    def text(self):
        """All labels, wrapped lines joined."""
        return " ".join(self.labels)


class Recorder:
    """Stands in for ``UILayout``; every sub-layout writes to the same :class:`Drawn`."""

    def __init__(self, drawn=None):
        object.__setattr__(self, "drawn", drawn or Drawn())

    def __getattr__(self, name):
        if name in ("row", "column", "box", "split", "grid_flow"):
            return lambda *_, **__: Recorder(self.drawn)
        if name in ("separator", "template_icon", "template_list", "menu"):
            return lambda *_, **__: None
        raise AttributeError(name)

    def label(self, text="", icon="NONE", icon_value=0):
        self.drawn.labels.append(text)

    def operator(self, name, text=None, **_):
        self.drawn.operators.append(name)
        return type("Properties", (), {})()

    def prop(self, owner, name, **_):
        assert name in owner.bl_rna.properties if hasattr(owner, "bl_rna") else hasattr(owner, name), name
        self.drawn.properties.append(name)

    def progress(self, factor=0.0, text=""):
        self.drawn.bars.append((round(factor, 2), text))
