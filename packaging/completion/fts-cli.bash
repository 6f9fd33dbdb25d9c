# Completion of fts-cli for bash. Commands and flags are those of the program that this was made from; names of draws,
# elections and matches are asked of a live node, for half a second at most.
_fts_cli_words() {
  cat << 'END'
@WORDS@
END
}

_fts_cli() {
  local word=${COMP_WORDS[COMP_CWORD]} line="" candidates="" i option=""
  local -a typed=()
  for ((i = 1; i < COMP_CWORD; i++)); do
    case ${COMP_WORDS[i]} in
    --endpoints | --timeout | --tls-ca | --tls-cert | --tls-key | --token-file) option+=" ${COMP_WORDS[i]} ${COMP_WORDS[i + 1]:-}"; i=$((i + 1)) ;;
    -*) ;;
    *) typed+=("${COMP_WORDS[i]}") ;;
    esac
  done
  if [[ ${COMP_WORDS[COMP_CWORD - 1]} == --@(tls-ca|tls-cert|tls-key|token-file|errors|out|data|config) ]]; then
    COMPREPLY=($(compgen -f -- "$word"))
    return
  fi
  local command="${typed[*]:0:2}" rest=2
  if ! _fts_cli_words | grep -q "^$command|"; then
    command=${typed[0]:-} rest=1
  fi
  line=$(_fts_cli_words | grep "^$command|" | head -n 1)
  if [[ $word == -* ]]; then
    candidates="@GLOBALS@ ${line##*|}"
  elif [[ -z $line ]]; then
    # Not a whole command yet: its next word.
    if [ ${#typed[@]} -eq 0 ]; then
      candidates=$(_fts_cli_words | cut -d'|' -f1 | cut -d' ' -f1 | sort -u)
    else
      candidates=$(_fts_cli_words | cut -d'|' -f1 | sed -n "s/^${typed[0]} //p")
    fi
  else
    local kind
    kind=$(cut -d'|' -f2 <<< "$line" | cut -d' ' -f$((${#typed[@]} - rest + 1)))
    case $kind in
    DRAW) candidates=$(fts-cli $option --timeout 500ms names draws 2> /dev/null) ;;
    MATCH) candidates=$(fts-cli $option --timeout 500ms names matches 2> /dev/null) ;;
    NAME) [ "${typed[0]}" != elect ] || candidates=$(fts-cli $option --timeout 500ms names elections 2> /dev/null) ;;
    *FILE* | DIR) COMPREPLY=($(compgen -f -- "$word")) && return ;;
    esac
    # A command may also be the first word of others.
    [ ${#typed[@]} -ne 1 ] || candidates+=" $(_fts_cli_words | cut -d'|' -f1 | sed -n "s/^${typed[0]} //p")"
  fi
  COMPREPLY=($(compgen -W "$candidates" -- "$word"))
}
complete -F _fts_cli fts-cli
