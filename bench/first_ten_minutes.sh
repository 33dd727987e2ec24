#!/usr/bin/env bash
# A new user's first ten minutes, from a fresh clone, with times, as docs/first_ten_minutes.md.
#
#     bench/first_ten_minutes.sh > docs/first_ten_minutes.md
#
# What is committed is cloned into a temporary folder, with nothing there but python, git and make. Each
# step is what a reader would type; its time, its command and the end of what it printed are told, and
# the walk ends with 1 where a step fails. PORT is that of the site.
set -uo pipefail
unset OMP_NUM_THREADS PYTHONHOME PYTHONPATH PYTHONWARNINGS VIRTUAL_ENV  # as if for the first time
repository=$(cd "$(dirname "$0")/.." && pwd)
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
total=0 failed=0

step() { # title, lines of output to show, command
    local title=$1 lines=$2 start end rc took
    start=$(date +%s.%N)
    (cd "$place/lossmith" 2>/dev/null || cd "$place" && eval "$3") >"$place/out" 2>&1
    rc=$?
    end=$(date +%s.%N)
    took=$(awk "BEGIN { printf \"%.0f\", $end - $start }")
    total=$(awk "BEGIN { printf \"%.1f\", $total + $end - $start }")
    printf '## %s: %s s\n\n```bash\n%s\n```\n\n' "$title" "$took" "$(sed "s|$repository|<this repository>|" <<<"$3")"
    [ "$lines" = 0 ] || printf '```text\n%s\n```\n\n' "$(sed "s/\x1b\[[0-9;]*m//g; s|$place/||g" "$place/out" | grep -v '^make: ' | tr '\r' '\n' | sed 's/ *$//' | grep -v '^$' | tail -n "$lines")"
    echo "$title: $took s, exit code $rc" >&2
    if [ "$rc" != "${4:-0}" ]; then
        failed=1
        tail -n 20 "$place/out" >&2
    fi
}

load=$(cut -d' ' -f1 /proc/loadavg 2>/dev/null || echo unknown)
cat <<END
# The first ten minutes

Walked by \`bench/first_ten_minutes.sh\`, which made this page: every command below was run from a fresh
clone, one after the other, on $(nproc) cores with a load of $load from elsewhere when it began, and
packages from a mirror nearby. Seconds are those of the clock. \`make\` needs \`python3\` of 3.11 or newer.

END
step "Clone" 0 "git clone --quiet $repository lossmith"
step "Install, and find the loss for house prices" 14 "make demo"
step "Is my set-up sound?" 4 "cat > broken.py <<'END'
import torch

def setup():
    model = torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.Softmax(dim=1))
    batch = torch.randn(64, 4), torch.arange(64) % 3
    return model, torch.nn.CrossEntropyLoss(), batch
END
.venv/bin/lossmith doctor broken.py:setup" 1
step "Where does the gradient come from?" 4 "cat > watched.py <<'END'
import lossmith
import torch

x, noise = torch.randn(256, 4), torch.randn(256)
y = x.sum(1) + 0.1 * noise
y[:5] += 50  # five wrong rows
model, loss = torch.nn.Linear(4, 1), lossmith.MSE()
optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
with lossmith.watch(loss, every=100):
    for _ in range(201):
        optimizer.zero_grad()
        loss(model(x).squeeze(1), y).backward()
        optimizer.step()
END
.venv/bin/python watched.py"
step "Which loss for my own loop?" 8 ".venv/bin/python examples/survival.py"
step "The site" 2 "make docs"
step "The site, served" 1 "timeout 60 make site & \\
for _ in \$(seq 60); do sleep 1; curl --silent --fail --max-time 5 http://127.0.0.1:8000/losses/huber/ | grep --only-matching '<title>.*</title>' && break; done
kill %1"
printf 'In all %.0f seconds.\n' "$total"
exit "$failed"
