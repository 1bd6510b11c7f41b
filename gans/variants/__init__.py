"""One paper a file: what it adds, and `build(config, spec, stage=0) -> GAN`.

`config` is nested dicts, resolved (`experiments.config.resolve`); `spec` describes the
data. A variant of several stages has `stages(config, spec)` too (`gans.stages`).
"""
