/** Handles of a device of one's own: numbered as in Linux, and in the report if a program leaves them. */
import { expect, test } from 'vitest';
import { io, ioctls, iow, O_RDWR, requests, struct, u32 } from '../../../ioctl/index.js';
import { defineDevice, HandleTable, type Kernel } from '../../../src/index.js';
import { testKernel } from '../../run.js';

const scene_handle = struct('scene_handle', { handle: u32 });
const scene_ioctls = ioctls({
  SCENE_IOC_NEW: io('s', 1),
  SCENE_IOC_FREE: iow('s', 2, scene_handle),
});
const { SCENE_IOC_NEW, SCENE_IOC_FREE } = requests(scene_ioctls);

const scene = defineDevice({
  name: 'scene',
  ioctls: scene_ioctls,
  open: (file) => new HandleTable<{ seed: number }>(file, 'scene'),
  ioctl: {
    SCENE_IOC_NEW: ({ state }) => state.alloc({ seed: 1 }),
    SCENE_IOC_FREE({ state }, { handle }) {
      state.remove(handle);
    },
  },
});

function open(kernel: Kernel) {
  const { sys } = kernel;
  const fd = sys.open('/dev/scene', O_RDWR);
  return {
    make: () => sys.ioctl(fd, SCENE_IOC_NEW),
    free: (handle: number) => sys.ioctl(fd, SCENE_IOC_FREE, scene_handle.create({ handle })),
    close: () => sys.close(fd),
  };
}

test('from 1 on, one used again only after all others; ENOENT for what there is not', () => {
  const kernel = testKernel();
  kernel.addDevice(scene);
  const { make, free, close } = open(kernel);
  expect([make(), make(), make()]).toEqual([1, 2, 3]);
  free(2);
  expect(() => free(2)).toThrow('ENOENT');
  expect(() => free(0)).toThrow('ENOENT');
  expect(make()).toBe(4);
  close();
});

test('each open file has its own, and iterates and clears them in their order', () => {
  const kernel = testKernel();
  const tables: HandleTable<{ seed: number }>[] = [];
  kernel.addDevice({
    ...scene,
    open: (file) => {
      const table = new HandleTable<{ seed: number }>(file, 'scene');
      tables.push(table);
      return table;
    },
  });
  const [one, two] = [open(kernel), open(kernel)];
  expect([one.make(), two.make(), one.make()]).toEqual([1, 1, 2]);
  expect([...(tables[0] ?? [])]).toEqual([
    [1, { seed: 1 }],
    [2, { seed: 1 }],
  ]);
  expect(tables[0]?.size).toBe(2);
  expect(tables[0]?.clear()).toEqual([{ seed: 1 }, { seed: 1 }]);
  expect(tables[0]?.size).toBe(0);
  expect(tables[0]?.alloc((handle) => ({ seed: handle }))).toBe(3);
  expect(tables[0]?.find(3)).toEqual({ seed: 3 });
  one.close();
  two.close();
});

test('what is left is in the report, with the call that made it', () => {
  const kernel = testKernel();
  kernel.addDevice(scene);
  const report = kernel.report();
  const { make, free, close } = open(kernel);
  const handles = [make(), make()];
  free(handles[0] as number);
  expect(report.findings().filter(({ kind }) => kind === 'handle-left')).toMatchObject([
    {
      text: 'scene 2 of /dev/scene left',
      made: { call: 3, text: expect.stringMatching(/^ioctl\(\d+, SCENE_IOC_NEW, NULL\) = 2$/) },
    },
  ]);
  close();
  expect(report.findings()).toEqual([]);
});
