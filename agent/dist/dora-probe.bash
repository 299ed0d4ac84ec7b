# SPDX-License-Identifier: MIT
# Made from agent/cli/option_table.c by tests/tools/docs.py.

_dora_probe()
{
	local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]} words

	COMPREPLY=()
	case $prev in
	--pid)
		mapfile -t COMPREPLY < <(compgen -W "$(cd /proc && echo [0-9]*)" -- "$cur")
		return
		;;
	--node)
		return
		;;
	--dataflow)
		return
		;;
	--duration)
		mapfile -t COMPREPLY < <(compgen -W '50ms 100ms 500ms 1s 5s 10s 1m' -- "$cur")
		return
		;;
	--listen)
		mapfile -t COMPREPLY < <(compgen -W '127.0.0.1:9469 [::1]:9469' -- "$cur")
		return
		;;
	--hold-threshold)
		mapfile -t COMPREPLY < <(compgen -W '50ms 100ms 500ms 1s 5s 10s 1m' -- "$cur")
		return
		;;
	--token-threshold)
		mapfile -t COMPREPLY < <(compgen -W '50ms 100ms 500ms 1s 5s 10s 1m' -- "$cur")
		return
		;;
	--record)
		mapfile -t COMPREPLY < <(compgen -f -- "$cur")
		return
		;;
	--output | -o)
		mapfile -t COMPREPLY < <(compgen -f -- "$cur")
		return
		;;
	--share-interval)
		mapfile -t COMPREPLY < <(compgen -W '50ms 100ms 500ms 1s 5s 10s 1m' -- "$cur")
		return
		;;
	--warn-hold)
		mapfile -t COMPREPLY < <(compgen -W '50ms 100ms 500ms 1s 5s 10s 1m' -- "$cur")
		return
		;;
	--pending-threshold)
		mapfile -t COMPREPLY < <(compgen -W '50ms 100ms 500ms 1s 5s 10s 1m' -- "$cur")
		return
		;;
	--polling-threshold)
		mapfile -t COMPREPLY < <(compgen -W '50ms 100ms 500ms 1s 5s 10s 1m' -- "$cur")
		return
		;;
	--on-warning)
		mapfile -t COMPREPLY < <(compgen -f -- "$cur")
		return
		;;
	--on-action)
		mapfile -t COMPREPLY < <(compgen -f -- "$cur")
		return
		;;
	--hook-user)
		mapfile -t COMPREPLY < <(compgen -f -- "$cur")
		return
		;;
	--shutdown)
		mapfile -t COMPREPLY < <(compgen -W 'observe nudge terminate' -- "$cur")
		return
		;;
	--grace)
		mapfile -t COMPREPLY < <(compgen -W '50ms 100ms 500ms 1s 5s 10s 1m' -- "$cur")
		return
		;;
	--nudge-signal)
		mapfile -t COMPREPLY < <(compgen -W 'INT TERM USR1 USR2 HUP' -- "$cur")
		return
		;;
	--nudge-after)
		mapfile -t COMPREPLY < <(compgen -W '50ms 100ms 500ms 1s 5s 10s 1m' -- "$cur")
		return
		;;
	--nudge-interval)
		mapfile -t COMPREPLY < <(compgen -W '50ms 100ms 500ms 1s 5s 10s 1m' -- "$cur")
		return
		;;
	--stop-dataflow-after)
		mapfile -t COMPREPLY < <(compgen -W '50ms 100ms 500ms 1s 5s 10s 1m' -- "$cur")
		return
		;;
	--dora-cli)
		mapfile -t COMPREPLY < <(compgen -f -- "$cur")
		return
		;;
	--max-overhead)
		return
		;;
	esac
	case ${COMP_WORDS[1]} in
	report)
		if [[ $cur != -* ]]; then
			mapfile -t COMPREPLY < <(compgen -f -- "$cur")
			return
		fi
		words='--hold-threshold --token-threshold --output --verbose --quiet --warn-hold --pending-threshold --polling-threshold --shutdown --grace --nudge-signal --nudge-after --nudge-interval --save-tokens --stop-dataflow-after --dry-run --help --usage --version'
		;;
	replay)
		if [[ $cur != -* ]]; then
			mapfile -t COMPREPLY < <(compgen -f -- "$cur")
			return
		fi
		words='--json --hold-threshold --token-threshold --verbose --quiet --warn-hold --pending-threshold --polling-threshold --fail-on-warning --shutdown --grace --nudge-signal --nudge-after --nudge-interval --save-tokens --stop-dataflow-after --dry-run --help --usage --version'
		;;
	doctor)
		words='--json --verbose --quiet --help --usage --version'
		;;
	list)
		words='--json --verbose --quiet --help --usage --version'
		;;
	*)
		words='--pid --node --dataflow --all --duration --json --view --listen --hold-threshold --token-threshold --record --share-interval --verbose --quiet --warn-hold --pending-threshold --polling-threshold --fail-on-warning --on-warning --on-action --hook-user --shutdown --grace --nudge-signal --nudge-after --nudge-interval --save-tokens --stop-dataflow-after --dora-cli --dry-run --exact --max-overhead --help --usage --version'
		;;
	esac
	((COMP_CWORD == 1)) && words+=' watch list doctor replay report'
	mapfile -t COMPREPLY < <(compgen -W "$words" -- "$cur")
}

complete -F _dora_probe dora-probe
