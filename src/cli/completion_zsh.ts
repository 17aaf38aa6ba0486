/** `dmabuf-shim completion zsh` */
import type { Command, Option } from './command.js';

/** For _arguments, which knows how words, values and files are divided and quoted. */
export const zsh = (commands: readonly Command[]): string => `#compdef dmabuf-shim
_dmabuf_shim() {
  if ((CURRENT == 2)); then
    compadd ${commands.map(({ name }) => name).join(' ')}
    return
  fi
  local command=$words[2]
  shift words
  ((CURRENT--))
  case $command in
${commands.map(branch).join('\n')}
  esac
}
(($+functions[compdef])) || { autoload -Uz compinit && compinit }
compdef _dmabuf_shim dmabuf-shim
`;

function branch({ name, options, operands }: Command): string {
  const specs = [...Object.entries(options).flatMap(optionSpecs), ...operandSpecs(operands)];
  // What comes behind a program is the program's.
  const ends = operands === 'program' ? " -A '-*'" : '';
  return `    ${name}) _arguments -s${ends} ${specs.map(quote).join(' \\\n      ')} ;;`;
}

/** In single quotes, as the shell takes it. */
const quote = (text: string) => `'${text.replaceAll("'", "'\\''")}'`;

function optionSpecs([key, option]: [string, Option]): string[] {
  const { short, value, optional, multiple, help } = option;
  const names = short ? [`--${key}`, `-${short}`] : [`--${key}`];
  const others = multiple ? '*' : names.length > 1 ? `(${names.join(' ')})` : '';
  const about = `[${summary(help).replace(/[[\]:\\]/g, '\\$&')}]`;
  return names.map((name) => {
    if (value === undefined) return `${others}${name}${about}`;
    const attached = optional === 'attached' ? '=-' : name.startsWith('--') ? '=' : '+';
    const colons = optional ? '::' : ':';
    return `${others}${name}${attached}${about}${colons}${value.replace(/[:\\]/g, '\\$&')}:${values(option)}`;
  });
}

/** What comes first of a help. */
function summary(help: string): string {
  const [first = ''] = help.replace(/\s+/g, ' ').split(/[;:] /, 1);
  return first.replace(/ \([^)]*$/, '');
}

function values({ choices, list }: Option): string {
  if (!choices) return '_files';
  const words = choices.join(' ');
  return list ? `_sequence compadd - ${words}` : words === '' ? ' ' : `(${words})`;
}

function operandSpecs(operands: Command['operands']): string[] {
  if (operands === 'none') return [];
  if (operands === 'files') return ['*:file:_files'];
  if (operands === 'program') {
    return ['(-)1:program:_command_names -e', '*::arguments:_normal'];
  }
  return operands.length > 0 ? [`1:argument:(${operands.join(' ')})`] : [];
}
