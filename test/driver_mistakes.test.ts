/** Drivers that are wrong: what their programs see is EIO, and the log has a line that says whose mistake it was. */
import { beforeEach, describe, expect, test } from 'vitest';
import { io, ioctls } from '../ioctl/index.js';
import { defineDevice, errno, type Kernel } from '../src/index.js';
import { needs } from './programs.js';
import { run, testKernel } from './run.js';

const bugs = (kernel: Kernel) =>
  kernel.log.records.map(({ text }) => text).filter((text) => text.startsWith('BUG'));

/** Prints the result of each ioctl, or its errno. */
const IOCTLS = `
import errno, fcntl, sys
with open('/dev/wrong', 'r+b', buffering=0) as file:
    for argument in range(int(sys.argv[2])):
        try:
            print(fcntl.ioctl(file, int(sys.argv[1]), argument))
        except OSError as error:
            print(errno.errorcode.get(error.errno, error.errno))
`;

const wrong_ioctls = ioctls({ WRONG_GO: io('w', 1) });

describe('a program', () => {
  beforeEach(needs(['python3', 'python3']));

  /** What a program sees of a handler that is called with 0, 1 … */
  const seen = async (kernel: Kernel, count: number) => {
    const args = ['-c', IOCTLS, `${wrong_ioctls.WRONG_GO.request}`, `${count}`];
    const { stdout } = await run(kernel, 'python3', args);
    return stdout.trim().split('\n');
  };

  test('sees the errno that is thrown, and EIO if Linux has none of that name', async () => {
    const kernel = testKernel();
    const names = ['EREMOTEIO', 'EKEYREJECTED', 'EBOGUS', 'ERESTARTSYS', 'WSAEINTR'];
    kernel.addDevice(
      defineDevice({
        name: 'wrong',
        ioctls: wrong_ioctls,
        ioctl: {
          WRONG_GO(_file, number) {
            throw errno(names[number] as 'EIO');
          },
        },
      }),
    );
    expect(await seen(kernel, names.length)).toEqual([
      'EREMOTEIO',
      'EKEYREJECTED',
      'EIO',
      'EIO',
      'EIO',
    ]);
    expect(bugs(kernel).map((text) => text.split('\n', 1)[0])).toEqual([
      'BUG: ioctl: TypeError: EBOGUS is no errno of Linux’s',
      'BUG: ioctl: TypeError: ERESTARTSYS is no errno of Linux’s',
      'BUG: ioctl: TypeError: WSAEINTR is no errno of Linux’s',
    ]);
  });
});
