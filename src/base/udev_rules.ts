/** What udevd's rules find out about a device, which a subsystem says itself, as there is no udevd here. */
export interface UdevInfo {
  /** `ID_PATH`, `ID_V4L_PRODUCT` … */
  readonly properties?: Readonly<Record<string, string>>;
  /** `seat`, `uaccess` … */
  readonly tags?: readonly string[];
  /** Links to the node, below /dev: `dri/by-path/platform-vkms-card`. */
  readonly links?: readonly string[];
}

export interface UdevRules<D> {
  /** Asked at each event of a device, as udevd runs its rules. */
  udev?(dev: D): UdevInfo | undefined;
}
