/** Listings, stat, access, realpath and readlink agree that the nodes exist and what they are. */
import { mkdirSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { needs, needsCompiler, program } from '../../programs.js';
import { run } from '../../run.js';

const shells = ['sh', 'bash'];

/** What a shell prints that runs a script; errors too. */
async function shell(name: string, script: string, cwd?: string): Promise<string> {
  const { stdout, stderr } = await run({}, name, ['-c', script], cwd ? { cwd } : {});
  return stdout + stderr;
}

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'dmabuf-shim-paths-'));
  symlinkSync('/dev/udmabuf', join(folder, 'link'));
  symlinkSync('/dev/dma_heap', join(folder, 'heaps'));
  mkdirSync(join(folder, 'below'));
  symlinkSync('../heaps/system', join(folder, 'below', 'chain'));
  symlinkSync('loop', join(folder, 'loop'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe.each(shells)('in %s', (name) => {
  beforeEach(needs([name, name]));

  test('the nodes are character devices', async () => {
    const script = `
      for node in /dev/dma_heap/system /dev/udmabuf; do
        test -e $node && test -c $node && test -r $node && test -w $node && test ! -d $node && echo $node
      done
      test -d /dev/dma_heap && test ! -e /dev/dma_heap/missing && echo and no more`;
    expect(await shell(name, script)).toBe('/dev/dma_heap/system\n/dev/udmabuf\nand no more\n');
  });

  test('one can go to their directory, look around and go back', async () => {
    const script =
      'cd /dev/dma_heap && ls && pwd && /bin/pwd && cd .. && pwd && ls -d udmabuf dma_heap';
    expect(await shell(name, script)).toBe(
      'system\n/dev/dma_heap\n/dev/dma_heap\n/dev\ndma_heap\nudmabuf\n',
    );
  });

  test('a program that starts there finds them by relative paths', async () => {
    const script = 'cd /dev && (cd dma_heap; test -c system && test -c ../udmabuf && echo both)';
    expect(await shell(name, script)).toBe('both\n');
  });

  test('patterns match them', async () => {
    expect(await shell(name, 'echo /dev/dma_heap/* /dev/udma*')).toBe(
      '/dev/dma_heap/system /dev/udmabuf\n',
    );
  });

  test('what is redirected to and from them is opened', async () => {
    expect(await shell(name, 'exec 3<>/dev/udmabuf && readlink /proc/self/fd/3')).toBe(
      '/dev/udmabuf\n',
    );
  });
});

describe('programs that list', () => {
  test('ls shows them with their numbers', async () => {
    const listing = await shell('sh', 'ls -l /dev/dma_heap/system /dev/udmabuf');
    expect(listing).toMatch(/^crw------- 1 \S+ +\S+ +25[0-9], +0 .* \/dev\/dma_heap\/system$/m);
    expect(listing).toMatch(/^crw------- 1 \S+ +\S+ +10, +[0-9]+ .* \/dev\/udmabuf$/m);
    expect((await run({}, 'ls', ['-a', '/dev/dma_heap'])).stdout).toBe('.\n..\nsystem\n');
  });

  test('ls /dev has all that the machine has, and ours', async () => {
    const without = await run({ devices: [] }, 'ls', ['/dev']);
    const { stdout } = await run({}, 'ls', ['/dev']);
    const names = stdout.trim().split('\n');
    expect(names).toEqual(expect.arrayContaining(without.stdout.trim().split('\n')));
    expect(names).toEqual(expect.arrayContaining(['dma_heap', 'null', 'udmabuf']));
  });

  test('find finds them, by name and by type', async () => {
    const args = ['/dev', '-maxdepth', '2', '-type', 'c', '(', '-name', 'udmabuf', '-o'];
    const { stdout, stderr } = await run({}, 'find', [...args, '-path', '/dev/dma_heap/*', ')']);
    expect(stdout.trim().split('\n').sort()).toEqual(['/dev/dma_heap/system', '/dev/udmabuf']);
    expect(stderr).toBe('');
  });

  test('stat, realpath and readlink name them', async () => {
    const script = `
      stat -c '%n %F' /dev/dma_heap/system /dev/udmabuf /dev/dma_heap
      realpath /dev/../dev/dma_heap/./system
      readlink -f //dev/udmabuf
      readlink /dev/udmabuf || echo no link`;
    expect(await shell('sh', script)).toBe(
      [
        '/dev/dma_heap/system character special file',
        '/dev/udmabuf character special file',
        '/dev/dma_heap directory',
        '/dev/dma_heap/system',
        '/dev/udmabuf',
        'no link\n',
      ].join('\n'),
    );
  });

  test('what a kernel was made without is not there', async () => {
    const { stdout } = await run({ devices: ['udmabuf'] }, 'sh', [
      '-c',
      'test -c /dev/udmabuf && test ! -e /dev/dma_heap && ls -d /dev/udmabuf',
    ]);
    expect(stdout).toBe('/dev/udmabuf\n');
  });
});

describe('symbolic links from elsewhere', () => {
  test('lead to the nodes, also through a directory of ours and a second link', async () => {
    const script = `
      test -c link && test -c heaps/system && test -c below/chain && echo all three
      readlink -f link heaps/system below/chain
      cat loop
      ls heaps/`;
    const loop = 'cat: loop: Too many levels of symbolic links\n';
    expect(await shell('sh', script, folder)).toBe(
      `all three\n/dev/udmabuf\n/dev/dma_heap/system\n/dev/dma_heap/system\nsystem\n${loop}`,
    );
  });

  test('cd through one, and back', async () => {
    expect(await shell('sh', 'cd heaps && /bin/pwd && ls && cd .. && /bin/pwd', folder)).toBe(
      `/dev/dma_heap\nsystem\n${folder}\n`,
    );
  });
});

describe('python', () => {
  beforeEach(needs(['python3', 'python3']));

  test('lists, walks and stats them', async () => {
    const script = `
import glob, os, pathlib, stat
assert {'dma_heap', 'udmabuf', 'null'} <= set(os.listdir('/dev'))
assert os.listdir('/dev/dma_heap') == ['system']
assert [e.name for e in os.scandir('/dev/dma_heap') if not e.is_dir()] == ['system']
assert list(os.walk('/dev/dma_heap')) == [('/dev/dma_heap', [], ['system'])]
assert glob.glob('/dev/dma_*/s*') == ['/dev/dma_heap/system']
assert pathlib.Path('/dev/udmabuf').is_char_device()
assert stat.S_ISCHR(os.stat('/dev/dma_heap/system').st_mode)
assert os.access('/dev/udmabuf', os.R_OK | os.W_OK) and not os.access('/dev/udmabuf', os.X_OK)
assert os.path.realpath('/dev/dma_heap/../udmabuf') == '/dev/udmabuf'
heaps = os.open('/dev/dma_heap', os.O_RDONLY)
assert os.listdir(heaps) == ['system']
assert stat.S_ISCHR(os.stat('system', dir_fd=heaps).st_mode)
os.chdir('/dev/dma_heap')
assert os.getcwd() == '/dev/dma_heap'
assert os.listdir() == ['system']
os.chdir('..')
assert os.getcwd() == '/dev'
`;
    expect(await run({}, 'python3', ['-c', script])).toMatchObject({ status: 0, stderr: '' });
  });
});

describe('C', () => {
  beforeEach(needsCompiler);

  test('stat, lstat, statx, open and access agree on every way to name a node', async () => {
    const { stdout, status } = await run({}, program('paths'), [
      join(folder, 'below/chain'),
      join(folder, 'heaps/missing'),
    ]);
    expect(status).toBe(0);
    const said = new Map<string, Set<string>>();
    for (const line of stdout.trim().split('\n')) {
      const [, , path = '', what = ''] = /^(\S+) (\S+): (.*)$/.exec(line) ?? [];
      said.set(path, (said.get(path) ?? new Set()).add(what));
    }
    const heap = ['character device 254:0', 'there'];
    const udmabuf = ['character device 10:127', 'there'];
    const directory = ['directory', 'there'];
    expect(Object.fromEntries([...said].map(([path, what]) => [path, [...what]]))).toEqual({
      '/dev/dma_heap/system': heap,
      '//dev///dma_heap/./system': heap,
      '/dev/udmabuf': udmabuf,
      '/dev/../dev/udmabuf': udmabuf,
      '/dev/dma_heap/../udmabuf': udmabuf,
      '/proc/self/root/dev/udmabuf': udmabuf,
      '/dev/dma_heap': directory,
      '/dev/dma_heap/': directory,
      '/dev/udmabuf/': ['ENOTDIR'],
      '/dev/udmabuf/below': ['ENOTDIR'],
      '/dev/dma_heap/missing': ['ENOENT'],
      [join(folder, 'below/chain')]: ['character device 254:0', 'link', 'there'],
      [join(folder, 'heaps/missing')]: ['ENOENT'],
      udmabuf,
      'dma_heap/system': heap,
      system: heap,
      './system': heap,
      '../udmabuf': udmabuf,
      '..//udmabuf': udmabuf,
      '.': directory,
    });
  });
});
