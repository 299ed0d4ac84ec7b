# SPDX-License-Identifier: MIT
# Completion for bash: source it, or install it as
# /usr/share/bash-completion/completions/dora-probe.

_dora_probe()
{
	local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]}
	local command=${COMP_WORDS[1]}
	local model="--hold-threshold --warn-hold --token-threshold --pending-threshold --polling-threshold --grace
		--shutdown --nudge-signal --nudge-after --nudge-interval --stop-dataflow-after
		--save-tokens --dry-run"
	local words

	COMPREPLY=()
	case $prev in
	--shutdown)
		words="observe nudge terminate"
		;;
	--nudge-signal)
		words="INT TERM USR1 USR2 HUP"
		;;
	--hold-threshold | --warn-hold | --token-threshold | --pending-threshold | --polling-threshold | --grace | \
		--nudge-after | --nudge-interval | --stop-dataflow-after | --duration)
		words="50ms 100ms 500ms 1s 5s 10s 1m"
		;;
	--listen)
		words="127.0.0.1:9469 [::1]:9469"
		;;
	--pid)
		words=$(cd /proc && printf '%s\n' [0-9]*)
		;;
	--record | --dora-cli | -o | --output)
		mapfile -t COMPREPLY < <(compgen -f -- "$cur")
		return
		;;
	--node | --dataflow | --on-warning | --on-action | --max-overhead)
		return
		;;
	*)
		case $command in
		list | doctor)
			words="--json --help"
			;;
		replay | report)
			if [[ $cur != -* ]]; then
				mapfile -t COMPREPLY < <(compgen -f -- "$cur")
				return
			fi
			words="$model --quiet --verbose --help"
			[[ $command == replay ]] && words+=" --json --fail-on-warning"
			[[ $command == report ]] && words+=" --output"
			;;
		*)
			words="$model --pid --node --dataflow --all --json --view --listen
				--dora-cli --fail-on-warning --on-warning --on-action --exact
				--max-overhead --record --duration --verbose --quiet --help
				--usage --version"
			((COMP_CWORD == 1)) && words+=" watch list doctor replay report"
			;;
		esac
		;;
	esac
	mapfile -t COMPREPLY < <(compgen -W "$words" -- "$cur")
}

complete -F _dora_probe dora-probe
