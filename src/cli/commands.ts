/** The command line: `dmabuf-shim SUBCOMMAND …`; a file each. */
import { constants } from 'node:os';
import { InputError } from '../../uapi/input_error.js';
import type { Command } from './command.js';
import { meant } from './options.js';

interface Entry {
  /** Its name, and what it takes. */
  readonly usage: string;
  readonly about: string;
  readonly load: () => Promise<Command>;
}

// Each is loaded when it is asked for: what `run` does not need must not delay its program.
const commands: Readonly<Record<string, Entry>> = {
  run: {
    usage: '[options] -- PROGRAM [arguments]',
    about: 'run a program that sees /dev/dma_heap, /dev/udmabuf …',
    load: async () => (await import('./run.js')).run,
  },
  ls: {
    usage: '',
    about: 'list the device nodes that there are',
    load: async () => (await import('./ls.js')).ls,
  },
  header: {
    usage: '[options] FILE.ts',
    about: 'write the C header of an interface that FILE.ts defines',
    load: async () => (await import('./header.js')).header,
  },
  'import-header': {
    usage: '[options] HEADER.h',
    about: 'write the TypeScript definitions of an existing C header',
    load: async () => (await import('./import_header.js')).importHeaderCommand,
  },
  'lint-uapi': {
    usage: '[options] FILE.ts',
    about: 'review that interface by the rules of Linux, and try its devices',
    load: async () => (await import('./lint_uapi.js')).lintUapiCommand,
  },
  bufinfo: {
    usage: '[--svg]',
    about: 'show the buffers that programs share; draw where they are',
    load: async () => (await import('./bufinfo.js')).bufinfo,
  },
  doctor: {
    usage: '',
    about: 'say whether this machine can run programs, and what to do if not',
    load: async () => (await import('./doctor.js')).doctor,
  },
  demo: {
    usage: '[picture.png]',
    about: 'camera, filter and display share frames of a picture',
    load: async () => (await import('./demo.js')).demo,
  },
  completion: {
    usage: 'bash|zsh',
    about: 'have the shell complete commands and options',
    load: async () =>
      (await import('./completion.js')).completionOf(() =>
        Promise.all(Object.values(commands).map(({ load }) => load())),
      ),
  },
};

const USAGE = `Usage: dmabuf-shim COMMAND [arguments]

${Object.entries(commands)
  .map(([name, { usage, about }]) => `  ${`${name} ${usage}`.padEnd(38)} ${about}`)
  .join('\n')}

"dmabuf-shim COMMAND --help" says more.
`;

/** Gives the exit status. */
export async function main([name, ...args]: string[]): Promise<number> {
  const [about = ''] = args;
  if (name === 'help' && Object.hasOwn(commands, about)) return main([about, '--help']);
  if (name === '--help' || name === '-h' || name === 'help') {
    process.stdout.write(USAGE);
    return 0;
  }
  const entry = Object.hasOwn(commands, name ?? '') ? commands[name ?? ''] : undefined;
  if (!entry) {
    const what =
      name === undefined
        ? 'no command given'
        : `no command "${name}"${meant(name, Object.keys(commands))}`;
    process.stderr.write(`dmabuf-shim: ${what}\n\n${USAGE}`);
    return 2;
  }
  // What `run` starts has standard output for itself.
  if (name !== 'run') process.stdout.on('error', (error) => unwritable(`${name}`, error));
  try {
    const command = await entry.load();
    return await command.main(args);
  } catch (error) {
    if (!(error instanceof InputError)) throw error;
    process.stderr.write(`dmabuf-shim ${name}: ${error.message}\n`);
    return 2;
  }
}

/** A reader that has left wants no more, nor to hear of it: the status is that of SIGPIPE, as of other programs. */
function unwritable(name: string, error: NodeJS.ErrnoException): never {
  if (error.code === 'EPIPE') process.exit(128 + constants.signals.SIGPIPE);
  process.stderr.write(`dmabuf-shim ${name}: cannot write: ${error.message}\n`);
  process.exit(1);
}
