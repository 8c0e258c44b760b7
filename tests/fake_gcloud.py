"""Stands in for `gcloud compute tpus tpu-vm` in tests: hosts are folders.

FAKE_GCLOUD is a folder with `state` (of the VM; none: it is not there), `log`
(a JSON line for each call), and a home folder for each host. `ssh` runs the
command there by bash, `scp` copies. Flags that gcloud does not document for a
command are refused.
"""

import argparse
import json
import os
import pathlib
import shutil
import subprocess
import sys

FAKE = pathlib.Path(os.environ['FAKE_GCLOUD'])
FLAGS = {
  'describe': ['--format'],
  'create': ['--accelerator-type', '--version'],
  'delete': [],
  'ssh': ['--worker', '--command'],
  'scp': ['--worker'],
}


def main():
  assert sys.argv[1:4] == ['compute', 'tpus', 'tpu-vm']
  verb = sys.argv[4]
  parser = argparse.ArgumentParser(allow_abbrev=False)
  parser.add_argument('names', nargs='+')
  for flag in [*FLAGS[verb], '--zone', '--project']:
    parser.add_argument(flag)
  parser.add_argument('--quiet', action='store_true')
  if verb == 'create':
    parser.add_argument('--spot', action='store_true')
  if verb == 'scp':
    parser.add_argument('--recurse', action='store_true')
  args = parser.parse_args(sys.argv[5:])
  assert args.zone == 'zone' and args.quiet
  with (FAKE / 'log').open('a') as f:
    f.write(json.dumps({'verb': verb, **vars(args)}) + '\n')
  sys.exit(globals()[verb](args))


def describe(args):
  assert args.format == 'value(state)'
  if (FAKE / 'state').exists():
    print((FAKE / 'state').read_text())
    return 0
  say = os.environ.get('FAKE_GCLOUD_SAYS', "NOT_FOUND: Resource 'vm' was not")
  print(f'ERROR: (gcloud.compute.tpus.tpu-vm.describe) {say}', file=sys.stderr)
  return 1


def create(args):
  for host in range(2 if args.accelerator_type == 'v4-16' else 1):
    (FAKE / f'host{host}').mkdir()
  (FAKE / 'state').write_text('READY')


def delete(args):
  (FAKE / 'state').unlink()
  for host in homes('all'):
    shutil.rmtree(host)


def ssh(args):
  statuses = [
    subprocess.run(
      ['bash', '-c', args.command], cwd=home, env={**os.environ, 'HOME': home}
    ).returncode
    for home in map(str, homes(args.worker))
  ]
  return max(statuses)


def scp(args):
  source, destination = args.names
  if args.recurse:  # from a host into a folder that is there
    path = homes(args.worker)[0] / source.removeprefix('vm:')
    if not path.is_dir():
      return 1
    shutil.copytree(path, pathlib.Path(destination) / path.name)
  else:
    assert destination == 'vm:'
    for home in homes(args.worker):
      shutil.copy(source, home)


def homes(worker):
  return sorted(FAKE.glob('host*' if worker == 'all' else f'host{worker}'))


if __name__ == '__main__':
  main()
