"""GANs as pure functions; the public interface is described in docs/api.md."""
