"""Runs `xmanager launch` with Docker and Google Cloud replaced, for a test.

  python tests/xm_recorder.py RECORD launch/xm_launch.py -- FLAGS

Replaced are: building and pushing an image, Docker's client, the project, its
service account, and Vertex AI's CustomJob. The rest is XManager's own. RECORD
gets a JSON line for each image and each job.
"""

import json
import pathlib
import sys

from google.cloud import aiplatform
from xmanager.cli import cli
from xmanager.cloud import auth, build_image, docker_lib
from xmanager.docker import docker_adapter

RECORD = pathlib.Path(sys.argv[1])
NO_DOCKER = RECORD.parent / 'no_docker'


def record(kind, **content):
  with RECORD.open('a') as f:
    f.write(json.dumps({'kind': kind, **content}) + '\n')


def build(path, dockerfile, image_name, *args, **kwargs):
  files = [p.name for p in (pathlib.Path(path) / 'lconv_jax').iterdir()]
  text, entry = (
    pathlib.Path(p).read_text() for p in (dockerfile, f'{path}/entrypoint.sh')
  )
  record('image', name=image_name, files=files, dockerfile=text, entry=entry)
  return image_name


class Container:
  """Runs until somebody waits, and leaves what a finished run does."""

  running = 0

  def __init__(self, folder):
    self.folder = folder
    self.ended = False
    Container.running += 1

  def wait(self):
    if self.ended:  # XManager waits again in the end
      return
    self.ended = True
    Container.running -= 1
    fails = RECORD.parent / 'fails'
    if not (fails.exists() and fails.read_text() in self.folder.name):
      self.folder.mkdir()
      (self.folder / 'done.json').write_text('{"best": {"step": 1}}')

  def logs(self, **kwargs):
    return []

  def stop(self):
    pass


class Docker:
  def has_network(self, name):
    return True

  def run_container(self, *, args, env_vars, volumes, gpu_count, **kwargs):
    record(
      'job',
      args=args,
      env=env_vars,
      volumes=volumes,
      gpus=gpu_count,
      others_running=Container.running,
    )
    (folder,) = (w for w in args if w.startswith('--workdir='))
    return Container(pathlib.Path(folder.removeprefix('--workdir=')))


class CustomJob:
  resource_name = 'job'

  def __init__(self, worker_pool_specs, **kwargs):
    (pool,) = worker_pool_specs
    machine = pool.machine_spec
    record(
      'job',
      args=list(pool.container_spec.args),
      image=pool.container_spec.image_uri,
      accelerator=machine.accelerator_type.name,
      count=machine.accelerator_count,
    )

  def submit(self, **kwargs):
    pass

  def _dashboard_uri(self):
    return 'there'


build_image.build_by_dockerfile = build
build_image.push = lambda image: image
docker_lib.is_docker_installed = lambda: not NO_DOCKER.exists()
docker_adapter.instance = Docker
auth.get_project_name = lambda: 'project'
auth.get_bucket = lambda: 'bucket'
auth.get_service_account = lambda: 'account'
aiplatform.init = lambda **kwargs: None
aiplatform.CustomJob = CustomJob
sys.argv = ['xmanager', 'launch', *sys.argv[2:]]
cli.entrypoint()
