#!/usr/bin/env bash
# Restores the bundled micrographs and says where the restored images and the before/after pictures lie.
source "$(dirname "${BASH_SOURCE[0]}")/setup.sh"

install_package ""
exec .venv/bin/mdeblurgan demo "$@"
