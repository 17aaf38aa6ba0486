/** `dmabuf-shim/ioctl`: every header. The kernel itself goes without those that no driver of its own has, to start sooner. */
export * from './drm.js';
export * from './drm_mode.js';
export * from './drm_mode_constants.js';
export * from './drm_syncobj.js';
export * from './index.js';
