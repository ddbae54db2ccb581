#!/bin/sh
# Work on an image, or on many, as an array of jobs; then what the undivided command would have written, and its exit
# code: sh submit.sh PARTS FOLDER COMMAND..., for instance
#   sh submit.sh 8 parts checksum disk.vhdx
#   sh submit.sh 100 parts fleet check --list images.txt
# FOLDER is one that all nodes see. Parts that are whole there are not done again.
set -eu
parts=$1 folder=$2
shift 2
mkdir -p "$folder"
array=$(sbatch --parsable --array="0-$((parts - 1))" --output="$folder/log-%a" "$(dirname "$0")/part.sbatch" "$folder" "$@")
# Whether they failed or not: what is missing is named.
exec srun --quiet --ntasks=1 --dependency="afterany:$array" sh -c 'vhdx combine "$1"/part-*' sh "$folder"
