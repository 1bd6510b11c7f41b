"""Serves trained models over HTTP, with a page to try them in a browser.

    python -m experiments.serve --workdir=DIR [--workdir=DIR2]

Models are named by the last part of their folders. `POST /v1/models/NAME/OUTPUT` makes
samples by JSON, {"n": 16, "seed": 3}, or of a picture that is uploaded; the answer is
PNG, WebP, JPEG, npz or JSON. /docs lists all routes, / is a page to try them, /metrics
has measurements for Prometheus, /health and /ready are for whatever runs the service.

Requests that come within --wait_ms are made together, in batches of the sizes in
--buckets, which are compiled at the start. With one size, answers are those of
`sample --batch_size=SIZE` bit for bit; programs of several sizes differ by one level of
grey in a few pixels of a hundred thousand.

When --queue samples wait, further requests get 503 with Retry-After. A newer checkpoint
of a run takes the place of the older one; no request is lost. SIGTERM and Ctrl-C let
requests that are there be answered. --flagfile=FILE reads flags from a file.

The service listens on this machine only, unless --host says otherwise: it has neither
TLS nor users, and belongs behind a proxy then. --api_key_file names a file with a key
that clients have to send. --refuse names a file of classes and words that are not
served, one a line.
"""

from absl import flags

from experiments import cli


def main(server):
    """Serves, with the imported `experiments.service.server`."""
    values = flags.FLAGS
    limits = server.Limits(
        n=values.n_max,
        queue=values.queue,
        upload=values.upload_mb * 2**20,
        pixels=values.pixels_max,
        seconds=values.timeout_s,
    )
    options = server.Options(
        host=values.host,
        port=values.port,
        checkpoint=values.checkpoint,
        buckets=tuple(server.whole("buckets", values.buckets)),
        wait=values.wait_ms / 1000,
        limits=limits,
        key=server.key_of(values.api_key_file),
        refuse=values.refuse,
        reload=values.reload_s,
        drift=values.drift_s,
        canary=values.canary,
    )
    server.serve(values.workdir, options)


if __name__ == "__main__":
    cli.path_flag("workdir", None, "Folder of a run.", several=True, required=True)
    flags.DEFINE_string("host", "127.0.0.1", "Address to listen at; 0.0.0.0: all.")
    flags.DEFINE_integer("port", 8000, "Port to listen at.")
    flags.DEFINE_string("checkpoint", "last", "last, best, or a step.")
    flags.DEFINE_list("buckets", ["1", "4", "16"], "Sizes of the batches, compiled.")
    flags.DEFINE_float("wait_ms", 5, "How long a batch waits for more requests.")
    flags.DEFINE_integer("queue", 256, "Samples that may wait.")
    flags.DEFINE_integer("n_max", 64, "Samples of a request.")
    flags.DEFINE_integer("upload_mb", 16, "Megabytes of an uploaded file.")
    flags.DEFINE_integer("pixels_max", 2**22, "Pixels of an uploaded picture.")
    flags.DEFINE_float("timeout_s", 30, "Seconds for a request.")
    cli.path_flag("api_key_file", None, "A file with the key of clients.")
    cli.path_flag("refuse", None, "A file of classes and words that are not served.")
    flags.DEFINE_float(
        "reload_s", 30, "Looks for newer checkpoints so often; 0: never."
    )
    flags.DEFINE_float("drift_s", 3600, "Checks for drift so often; 0: never.")
    cli.path_flag("canary", None, "Folder of fixed samples, for the check for drift.")
    cli.main(main, "experiments.service.server")
