/** The command line: `dmabuf-shim SUBCOMMAND …`; a file each. */
import { constants } from 'node:os';
import { InputError } from '../../uapi/input_error.js';

const USAGE = `Usage: dmabuf-shim COMMAND [arguments]

  run [options] -- PROGRAM [arguments]   run a program that sees /dev/dma_heap, /dev/udmabuf …
  ls                                     list the device nodes that there are
  header [options] FILE.ts               write the C header of an interface that FILE.ts defines
  import-header [options] HEADER.h       write the TypeScript definitions of an existing C header
  lint-uapi [options] FILE.ts            review that interface by the rules of Linux, and try its devices
  bufinfo [--svg]                        show the buffers that programs share; draw where they are
  doctor                                 say whether this machine can run programs, and what to do if not
  demo [picture.png]                     camera, filter and display share frames of a picture

"dmabuf-shim COMMAND --help" says more.
`;

/** A subcommand takes its arguments and gives the exit status. */
type Command = (args: string[]) => number | Promise<number>;

// Each is loaded when it is asked for: what `run` does not need must not delay its program.
const commands: Record<string, () => Promise<Command>> = {
  run: async () => (await import('./run.js')).run,
  ls: async () => (await import('./ls.js')).ls,
  header: async () => (await import('./header.js')).header,
  'import-header': async () => (await import('./import_header.js')).importHeaderCommand,
  'lint-uapi': async () => (await import('./lint_uapi.js')).lintUapiCommand,
  bufinfo: async () => (await import('./bufinfo.js')).bufinfo,
  doctor: async () => (await import('./doctor.js')).doctor,
  demo: async () => (await import('./demo.js')).demo,
};

/** Gives the exit status. */
export async function main([name, ...args]: string[]): Promise<number> {
  if (name === '--help' || name === '-h' || name === 'help') {
    process.stdout.write(USAGE);
    return 0;
  }
  const load = name === undefined ? undefined : commands[name];
  if (!load) {
    const what = name === undefined ? 'no command given' : `no command "${name}"`;
    process.stderr.write(`dmabuf-shim: ${what}\n\n${USAGE}`);
    return 2;
  }
  // What `run` starts has standard output for itself.
  if (name !== 'run') process.stdout.on('error', (error) => unwritable(`${name}`, error));
  try {
    const command = await load();
    return await command(args);
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
