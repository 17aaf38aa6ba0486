/** `dmabuf-shim completion bash` */
import type { Command, Option } from './command.js';

/**
 * Names of files are left to readline (`-o default`): it knows of quotes, spaces, "~" and folders. Words are of bash's
 * own division, at "=" and ":", put together again; what is offered is what comes behind the last of these.
 */
export const bash = (commands: readonly Command[]): string => `_dmabuf_shim_offer() {
  local before=$1 word
  compopt +o default
  for word in "\${@:2}"; do
    word=$before$word
    [[ $word == "$current"* ]] && COMPREPLY+=("\${word#"$taken"}")
  done
}
_dmabuf_shim_offer_list() {
  local before=$1
  [[ \${current#"$before"} == *,* ]] && before=\${current%,*},
  compopt -o nospace
  _dmabuf_shim_offer "$before" "\${@:2}"
}
_dmabuf_shim_offer_program() {
  [[ $current == */* ]] || mapfile -t COMPREPLY < <(compgen -c -- "$current")
}
_dmabuf_shim() {
  local line=\${COMP_LINE:0:COMP_POINT} words=() taken= rest word i
  COMPREPLY=()
  for ((i = 0; i <= COMP_CWORD; i++)); do
    rest=\${line#"\${line%%[![:space:]]*}"}
    word=\${COMP_WORDS[i]}
    ((i < COMP_CWORD)) || word=$rest
    if ((i == 0)) || [[ $rest != "$line" ]]; then
      words+=("$word") taken=
    else
      taken=\${words[-1]}
      words[-1]+=$word
    fi
    line=\${rest#"$word"}
  done
  [[ $word =~ ^[=:]+$ ]] && taken=\${words[-1]}
  local current=\${words[-1]} option=\${words[-2]} before=
  if ((\${#words[@]} == 2)); then
    _dmabuf_shim_offer '' ${commands.map(({ name }) => name).join(' ')}
    return
  fi
  [[ $current == --*=* ]] && option=\${current%%=*}= before=$option
  case \${words[1]} in
${commands.map(branch).join('\n')}
    *) compopt +o default ;;
  esac
}
complete -o default -F _dmabuf_shim dmabuf-shim
`;

type Entry = [key: string, option: Option];

const quoted = (words: readonly string[]) => words.map((word) => `'${word}'`).join(' ');
const namesOf = ([key, { short }]: Entry) => (short ? [`--${key}`, `-${short}`] : [`--${key}`]);

function branch({ name, options, operands }: Command): string {
  const entries = Object.entries(options);
  const withNext = entries.filter(([, { value, optional }]) => value && optional !== 'attached');
  const rows = entries.filter(([, { value }]) => value).map(valueRow);
  return `    ${name})
${operands === 'program' ? program(withNext.flatMap(namesOf)) : ''}      case $option in
${rows.join('\n')}
      esac
      if [[ $current == -* ]]; then
        _dmabuf_shim_offer '' ${quoted(entries.map(([key]) => `--${key}`))}
        return
      fi
      ${offer(operands)} ;;`;
}

/** What there is for the value of an option. */
function valueRow(entry: Entry): string {
  const [key, { choices, list, optional }] = entry;
  const names = optional === 'attached' ? [] : namesOf(entry);
  const how = list ? '_dmabuf_shim_offer_list' : '_dmabuf_shim_offer';
  const what = choices ? `${how} "$before" ${quoted(choices)}; ` : '';
  return `        ${[...names, `--${key}=`].join('|')}) ${what}return ;;`;
}

/** What comes behind a program is the program's. */
const program = (
  withNext: readonly string[],
) => `      for ((i = 2; i < \${#words[@]} - 1; i++)); do
        case \${words[i]} in
          ${withNext.join('|')}) ((i++)) ;;
          --) ((i + 2 == \${#words[@]})) && _dmabuf_shim_offer_program; return ;;
          -*) ;;
          *) return ;;
        esac
      done
`;

function offer(operands: Command['operands']): string {
  if (operands === 'files') return '';
  if (operands === 'program') return '_dmabuf_shim_offer_program';
  return `_dmabuf_shim_offer '' ${quoted(operands === 'none' ? [] : operands)}`;
}
