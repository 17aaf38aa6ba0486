/** The programs in examples/ do what examples/README.md says of them; filter.c is in demo.test.ts. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, onTestFinished, test } from 'vitest';
import { main } from '../cli.js';
import { exampleProgram, GCC, missing, program } from '../programs.js';

const root = fileURLToPath(new URL('../..', import.meta.url));
const example = (name: string) => join(root, 'examples', name);

/** What a program prints; it must end well, and say nothing on stderr. */
function output(command: string, ...args: string[]): string {
  const { status, stdout, stderr } = spawnSync(command, args, { encoding: 'utf8' });
  expect(stderr).toBe('');
  expect(status).toBe(0);
  return stdout;
}

const ALLOCATED = '8192 bytes: "written between START and END"\n';

test('allocate.mjs', () => {
  expect(output(process.execPath, example('allocate.mjs'))).toBe(ALLOCATED);
});

test('allocate.c', ({ skip }) => {
  const why = missing(GCC);
  if (why) skip(why);
  const program = exampleProgram('allocate');
  expect(output(process.execPath, main, 'run', '--', program)).toBe(ALLOCATED);
});

test('driver.mjs: the ioctl is back before the work is done, which succeeds once', () => {
  expect(output(process.execPath, example('driver.mjs')).split('\n')).toEqual([
    'the ioctl is back: "pencil"',
    'the buffer is readable: "in ink", status 1',
    'the ioctl is back: "chalk."',
    'the buffer is readable: "chalk.", status -28',
    '',
  ]);
});

test('frames.ts: nothing is freed while any of it is mapped, in whatever process', ({ skip }) => {
  const why = missing(GCC);
  if (why) skip(why);
  const device = example('frames.ts');
  expect(output(process.execPath, main, 'run', '--device', device, '--', program('frames'))).toBe(`\
mapped: EBUSY
in two parts: EBUSY
one part, moved: EBUSY
only in a child: EBUSY
the child read 7
the child has ended: free
mmap: EINVAL
`);
});

test('flow.mjs: memory is chosen late, and moved; what the camera wrote is what the display shows', () => {
  const folder = mkdtempSync(join(tmpdir(), 'dmabuf-shim-flow-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const file = join(folder, 'flow.svg');
  expect(output(process.execPath, example('flow.mjs'), '--svg', file)).toBe(`\
the heap: export, fd; memory is chosen when it is known who needs it
  buffer   no memory yet                 references 1
camera: get, attach
  buffer   no memory yet                 references 2
  camera   attached                      pins 0
camera: map_attachment; scattered will do, behind an IOMMU
  buffer   Normal: 0x100210+16, 8 more   references 2
  camera   0xfffe0000, nents 9 -> 1      pins 0
camera: DMA; display: get, attach
  buffer   Normal: 0x100210+16, 8 more   references 3
  camera   0xfffe0000, nents 9 -> 1      pins 0
  display  attached                      pins 0
display: pin, map_attachment; it needs one piece: the buffer moves, the camera lets go
  buffer   CMA: 0xbf800+24               references 3
  camera   attached                      pins 0
  display  0xbf800000, nents 1 -> 1      pins 1
camera: map_attachment, to where the buffer is now
  buffer   CMA: 0xbf800+24               references 3
  camera   0xfffe0000, nents 1 -> 1      pins 0
  display  0xbf800000, nents 1 -> 1      pins 1
display: DMA; it shows the camera's picture: true
both: unmap_attachment; display: unpin
  buffer   CMA: 0xbf800+24               references 3
  camera   attached                      pins 0
  display  attached                      pins 0
both: detach, put
  buffer   CMA: 0xbf800+24               references 1
the program: close
  buffer   gone
`);
  // Only the inode number is another one each time.
  const drawing = (path: string) =>
    readFileSync(path, 'utf8').replaceAll(/dmabuf \d+/g, 'dmabuf N');
  expect(drawing(file)).toBe(drawing(example('buffer.svg')));
});
