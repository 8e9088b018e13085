#!/bin/bash
# make_root.sh DIR: a Debian sid root with a real, windowed Blender 5.2 in DIR, for tests/window.
# Two minutes and 1.1 GB; wants root and the package mmdebstrap.
set -eu
mmdebstrap --variant=apt --mode=root \
  --aptopt='Acquire::Check-Valid-Until "false"' --aptopt='APT::Install-Recommends "false"' \
  --dpkgopt=force-unsafe-io --dpkgopt='path-exclude=/usr/share/doc/*' \
  --dpkgopt='path-exclude=/usr/share/locale/*' --dpkgopt='path-exclude=/usr/share/man/*' \
  --include=blender,xvfb,xdotool,imagemagick,libgl1-mesa-dri,libegl1,libgl1,python3-numpy,python3-requests,python3-cattr \
  sid "$1"
