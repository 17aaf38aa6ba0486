/** `dmabuf-shim completion`: for the shell, from the tables of the commands. */
import { type Command, defineCommand, type Option } from './command.js';
import { UsageError } from './usage.js';

const SHELLS = ['bash', 'zsh'];

/** `commands`: all that there are, by their names. */
export const completionOf = (commands: () => Promise<readonly Command[]>) =>
  defineCommand({
    name: 'completion',
    usage: ['bash|zsh'],
    about: `Writes what makes a shell complete commands, options and their values:

  source <(dmabuf-shim completion bash)`,
    options: {},
    operands: SHELLS,
    async run(_, [shell = '', ...more]) {
      if (!SHELLS.includes(shell) || more.length > 0) {
        throw new UsageError(`one of ${SHELLS.join(', ')} is wanted`);
      }
      process.stdout.write(script(await commands(), shell));
      return 0;
    },
  });

function script(commands: readonly Command[], shell: string): string {
  // zsh can do what bash does.
  const start = shell === 'zsh' ? 'autoload -U +X bashcompinit && bashcompinit\n' : '';
  return `${start}_dmabuf_shim() {
  local command=\${COMP_WORDS[1]} word=\${COMP_WORDS[COMP_CWORD]} before=\${COMP_WORDS[COMP_CWORD-1]} i
  COMPREPLY=()
  if ((COMP_CWORD == 1)); then
    COMPREPLY=($(compgen -W "${commands.map(({ name }) => name).join(' ')}" -- "$word"))
    return
  fi
  case $command in
${commands.map(branch).join('\n')}
  esac
}
complete -o default -o filenames -F _dmabuf_shim dmabuf-shim
`;
}

const nameOf = ([key, { short }]: [string, Option]) =>
  short ? [`--${key}`, `-${short}`] : [`--${key}`];
const quoted = (words: readonly string[]) => `"${words.join(' ')}"`;

function branch({ name, options, operands }: Command): string {
  const entries = Object.entries(options);
  const withValue = entries.filter(([, { value, optional }]) => value && optional !== 'attached');
  const values = withValue.map((entry) => {
    const { choices } = entry[1];
    const offered = choices ? `-W ${quoted(choices)}` : '-f';
    return `        ${nameOf(entry).join('|')}) COMPREPLY=($(compgen ${offered} -- "$word")); return ;;`;
  });
  const names = `compgen -W ${quoted(entries.flatMap((entry) => nameOf(entry)[0] as string))} -- "$word"`;
  return `    ${name})
${operands === 'program' ? program(withValue.flatMap(nameOf)) : ''}      case $before in
${values.join('\n')}
      esac
      if [[ $word == -* ]]; then COMPREPLY=($(${names})); return; fi
${offer(operands)}      ;;`;
}

/** What comes behind a program is the program's. */
function program(withValue: readonly string[]): string {
  return `      for ((i = 2; i < COMP_CWORD; i++)); do
        case \${COMP_WORDS[i]} in
          ${withValue.join('|')}) ((i++)) ;;
          --) ((i + 1 < COMP_CWORD)) && { COMPREPLY=($(compgen -f -- "$word")); return; } ;;
          -*) ;;
          *) COMPREPLY=($(compgen -f -- "$word")); return ;;
        esac
      done
`;
}

function offer(operands: Command['operands']): string {
  if (operands === 'none') return '';
  if (operands === 'program') return '      COMPREPLY=($(compgen -c -f -- "$word"))\n';
  if (operands === 'files') return '      COMPREPLY=($(compgen -f -- "$word"))\n';
  return `      COMPREPLY=($(compgen -W ${quoted(operands)} -- "$word"))\n`;
}
