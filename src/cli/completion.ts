/** `dmabuf-shim completion`: for the shell, from the tables of the commands. */
import { type Command, defineCommand } from './command.js';
import { bash } from './completion_bash.js';
import { zsh } from './completion_zsh.js';
import { UsageError } from './usage.js';

const SHELLS: Readonly<Record<string, (commands: readonly Command[]) => string>> = { bash, zsh };

/** `commands`: all that there are, by their names. */
export const completionOf = (commands: () => Promise<readonly Command[]>) =>
  defineCommand({
    name: 'completion',
    usage: ['bash|zsh'],
    about: `Writes what makes a shell complete commands, options and their values:

  source <(dmabuf-shim completion bash)`,
    options: {},
    operands: Object.keys(SHELLS),
    async run(_, [shell = '', ...more]) {
      const script = Object.hasOwn(SHELLS, shell) ? SHELLS[shell] : undefined;
      if (!script || more.length > 0) {
        throw new UsageError(`one of ${Object.keys(SHELLS).join(', ')} is wanted`);
      }
      process.stdout.write(script(await commands()));
      return 0;
    },
  });
