#compdef fts-cli
# Completion of fts-cli for zsh: the same words and the same questions as bash's.
_fts_cli_words() {
  cat << 'END'
@WORDS@
END
}

_fts_cli() {
  local word=${words[CURRENT]} previous=${words[CURRENT-1]} line kind command i
  local -a typed option candidates
  for ((i = 2; i < CURRENT; i++)); do
    case ${words[i]} in
    --endpoints|--timeout|--tls-ca|--tls-cert|--tls-key|--token-file) option+=(${words[i]} ${words[i+1]}); ((i++)) ;;
    -*) ;;
    *) typed+=(${words[i]}) ;;
    esac
  done
  case $previous in
  --tls-ca|--tls-cert|--tls-key|--token-file|--errors|--out|--data|--config) _files; return ;;
  esac
  local rest=2
  command="${typed[1,2]}"
  line=$(_fts_cli_words | grep "^$command|" | head -n 1)
  if [[ -z $line ]]; then
    command=${typed[1]} rest=1
    [[ -z $command ]] || line=$(_fts_cli_words | grep "^$command|" | head -n 1)
  fi
  if [[ $word == -* ]]; then
    candidates=(@GLOBALS@ ${=line##*|})
  elif [[ -z $line ]]; then
    if (( ${#typed} == 0 )); then
      candidates=(${(f)"$(_fts_cli_words | cut -d'|' -f1 | cut -d' ' -f1 | sort -u)"})
    else
      candidates=(${(f)"$(_fts_cli_words | cut -d'|' -f1 | sed -n "s/^${typed[1]} //p")"})
    fi
  else
    kind=$(cut -d'|' -f2 <<< "$line" | cut -d' ' -f$((${#typed} - rest + 1)))
    case $kind in
    DRAW) candidates=(${(f)"$(fts-cli $option --timeout 500ms names draws 2> /dev/null)"}) ;;
    MATCH) candidates=(${(f)"$(fts-cli $option --timeout 500ms names matches 2> /dev/null)"}) ;;
    NAME) [[ ${typed[1]} != elect ]] || candidates=(${(f)"$(fts-cli $option --timeout 500ms names elections 2> /dev/null)"}) ;;
    *FILE*|DIR) _files; return ;;
    esac
    (( ${#typed} != 1 )) || candidates+=(${(f)"$(_fts_cli_words | cut -d'|' -f1 | sed -n "s/^${typed[1]} //p")"})
  fi
  compadd -a candidates
}
_fts_cli "$@"
