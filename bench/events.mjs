// Two devices for `node bench/run.mjs readiness`: one with events, and one that says itself what it is ready for.
import { defineDevice } from 'dmabuf-shim';
import { struct, u32 } from 'dmabuf-shim/ioctl';

export default [
  defineDevice({ name: 'bench-events', events: struct('bench_event', { number: u32 }) }),
  defineDevice({ name: 'bench-polled', poll: () => 0 }),
];
