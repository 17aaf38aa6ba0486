// What waiting costs beside a device with events, and in programs that have nothing to do with it.
import { fileURLToPath } from 'node:url';

const devices = ['--device', fileURLToPath(new URL('events.mjs', import.meta.url))];
const [EVENTS, POLLED] = ['/dev/bench-events', '/dev/bench-polled'];

export const readinessBenches = ({
  compile,
  figure,
  inTurn,
  number,
  report,
  supervised,
  supervisedWith,
  us,
}) => ({
  async read() {
    const client = compile('client');
    const [base, ours] = await inTurn(
      7,
      () => number(client, ['read', '1000000']),
      () => supervisedWith(devices, client, 'read', 1_000_000, EVENTS),
    );
    const floor = ['unsupervised', figure(us, base)];
    report('read of /dev/zero beside a device with events', figure(us, ours), ...floor, '1.2 ×');
  },

  async poll() {
    const [floor, client] = [compile('floor'), compile('client')];
    const beside = (what, node) => () => supervisedWith(devices, client, what, 20000, node);
    const [c, without, open, among, polled, polledAmong] = await inTurn(
      7,
      () => number(floor, ['poll', '20000']),
      () => supervised(client, 'poll', 20000),
      beside('poll', EVENTS),
      beside('polled', EVENTS),
      beside('poll', POLLED),
      beside('polled', POLLED),
    );
    const line = (what, measured, name, base, limit) =>
      report(what, figure(us, measured), name, figure(us, base), limit);
    line('poll of 20 eventfds', without, 'C supervisor', c, '1.3 ×');
    line('the same beside a device with events', open, 'without it', without, '1.05 ×');
    line('with that among them', among, 'without it', without, '2 ×');
    line('beside a device with a poll of its own', polled, 'without it', without, '1.3 ×');
    line('with that among them', polledAmong, 'without it', without, 'no limit');
  },

  async epoll() {
    const client = compile('client');
    const beside = (node) => () => supervisedWith(devices, client, 'epoll', 200_000, node);
    const [base, events, polled] = await inTurn(
      7,
      () => number(client, ['epoll', '200000']),
      beside(EVENTS),
      beside(POLLED),
    );
    const floor = ['unsupervised', figure(us, base)];
    report('epoll_wait with a device with events', figure(us, events), ...floor, '1.2 ×');
    report('and one with a poll of its own', figure(us, polled), ...floor, '1.2 ×');
  },
});
