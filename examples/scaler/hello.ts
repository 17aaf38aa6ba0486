import { defineDevice } from 'dmabuf-shim';

export default defineDevice({
  name: 'hello',
  open() {
    return { unread: Buffer.from('hello\n') };
  },
  read(file, size) {
    const bytes = file.state.unread.subarray(0, size);
    file.state.unread = file.state.unread.subarray(size);
    return bytes;
  },
});
