/**
 * Who has which ioctl numbers, by Linux 6.12's list (Documentation/userspace-api/ioctl/ioctl-number.rst):
 * type, first and last number, and owner. Made by scripts/ioctl_numbers.mjs.
 */
export const IOCTL_NUMBERS = `
00 00-1F linux/fs.h
00 00-1F scsi/scsi_ioctl.h
00 00-1F linux/fb.h
00 00-1F linux/wavefront.h
02 00-FF linux/fd.h
03 00-FF linux/hdreg.h
04 D2-DC linux/umsdos_fs.h
06 00-FF linux/lp.h
07 9F-D0 linux/vmw_vmci_defs.h, uapi/linux/vm_sockets.h
09 00-FF linux/raid/md_u.h
10 00-0F drivers/char/s390/vmcp.h
10 10-1F arch/s390/include/uapi/sclp_ctl.h
10 20-2F arch/s390/include/uapi/asm/hypfs.h
12 00-FF linux/fs.h
15 00-FF linux/fs.h
1B 00-FF InfiniBand Subsystem
20 00-FF drivers/cdrom/cm206.h
22 00-FF scsi/sg.h
3E 00-0F linux/counter.h
21 00-1F uapi/linux/seccomp.h
23 00-3F IEEE 1394 Subsystem
24 00-0F linux/perf_counter.h, linux/perf_event.h
25 00-0F include/uapi/linux/stm.h
26 00-07 drivers/firewire/nosy-user.h
2A 00-1F uapi/linux/user_events.h
31 00-1F linux/timepps.h
32 01-04 linux/i2o.h
33 00-0F drivers/s390/char/raw3270.h
33 00-1F linux/suspend_ioctls.h
38 00-FF SNP8023 advanced NIC card
3B 64-7F linux/vfio.h
3B 80-FF linux/iommufd.h
3D 00-3F uapi/linux/ptp_clock.h
40 00-0F linux/radeonfb.h
40 00-0F drivers/video/aty/aty128fb.c
41 00-1F linux/apm_bios.h
41 00-0F linux/agpgart.h
41 00-7F sound/asound.h
42 00-1F linux/cciss_ioctl.h
42 00-0F include/linux/pmu.h
42 C0-FF advanced bbus
42 00-0F xen/xenbus_dev.h
43 00-FF linux/soundcard.h
43 01-2F linux/capi.h
43 F0-FF drivers/net/wan/cosa.h
44 00-FF arch/s390/include/asm/dasd.h
44 40-5F drivers/scsi/dpt/dtpi_ioctl.h
44 05-05 drivers/scsi/pmcraid.h
45 00-FF linux/input.h
45 00-0F xen/evtchn.h
46 00-FF linux/fb.h
46 01-02 drivers/scsi/pmcraid.h
46 20-20 drivers/video/fsl-diu-fb.h
46 20-20 linux/ivtvfb.h
46 20-20 linux/matroxfb.h
46 20-20 drivers/video/aty/atyfb_base.c
46 00-0F video/da8xx-fb.h
46 80-8F linux/arcfb.h
46 DD-DD video/sstfb.h
47 00-3F drivers/misc/sgi-gru/grulib.h
47 00-0F xen/gntalloc.h, xen/gntdev.h
48 00-7F linux/hiddev.h
48 00-0F linux/hidraw.h
48 01-01 linux/mei.h
48 02-02 linux/mei.h
48 03-03 linux/mei.h
48 00-0F sound/asound.h
48 20-40 sound/asound_fm.h
48 80-8F sound/sfnt_info.h
48 10-8F sound/emu10k1.h
48 10-1F sound/sb16_csp.h
48 10-1F sound/hda_hwdep.h
48 40-4F sound/hdspm.h
48 40-4F sound/hdsp.h
48 90-90 sound/usb/usx2y/usb_stream.h
48 00-0F uapi/misc/habanalabs.h
48 A0-A0 uapi/linux/usb/cdc-wdm.h
48 C0-F0 net/bluetooth/hci.h
48 C0-DF net/bluetooth/hidp/hidp.h
48 C0-DF net/bluetooth/cmtp/cmtp.h
48 C0-DF net/bluetooth/bnep/bnep.h
48 F1-F1 linux/hid-roccat.h
48 F8-FA sound/firewire.h
49 00-FF linux/isdn.h
49 00-0F drivers/isdn/divert/isdn_divert.h
49 40-4F linux/mISDNif.h
4B 00-FF linux/kd.h
4C 00-1F linux/loop.h
4C 10-1F drivers/scsi/mpt3sas/mpt3sas_ctl.h
4C E0-FF linux/ppdd.h
4D 00-FF linux/soundcard.h
4D 01-16 mtd/mtd-abi.h
4D 01-03 drivers/scsi/megaraid/megaraid_sas.h
4D 00-0F drivers/video/fsl-diu-fb.h
4E 00-1F drivers/usb/scanner.h
4E 40-7F drivers/block/nvme.c
4E 80-8F uapi/linux/ntsync.h
4F 00-06 mtd/ubi-user.h
50 00-FF linux/soundcard.h
50 60-6F sound/sscape_ioctl.h
50 00-0F drivers/usb/class/usblp.c
50 01-09 drivers/misc/pci_endpoint_test.c
50 00-0F xen/privcmd.h
50 00-05 linux/tps6594_pfsm.h
51 00-FF linux/soundcard.h
52 00-1F linux/random.h
52 01-01 linux/rfkill.h
52 20-2F linux/trace_mmap.h
52 C0-DF net/bluetooth/rfcomm.h
52 E0-E0 uapi/linux/fsl_mc.h
53 00-FF linux/cdrom.h
53 80-81 scsi/scsi_ioctl.h
53 82-FF scsi/scsi.h
53 00-7F sound/asequencer.h
54 00-FF linux/soundcard.h
54 00-AF sound/asound.h
54 00-FF arch/x86/include/asm/ioctls.h
54 C0-DF linux/if_tun.h
55 00-FF sound/asound.h
55 00-CF linux/uinput.h
55 00-EF linux/usbdevice_fs.h
55 C0-CF drivers/bluetooth/hci_uart.h
56 00-FF linux/vt.h
56 00-FF linux/videodev2.h
56 C0-C0 linux/ivtvfb.h
56 C0-C0 linux/ivtv.h
56 C0-C0 media/si4713.h
57 00-1F linux/watchdog.h
57 00-1F linux/wanrouter.h
57 00-3F sound/asound.h
57 40-5F drivers/pci/switch/switchtec.c
57 60-61 linux/watch_queue.h
58 00-FF fs/xfs/xfs_fs.h
58 00-FF fs/ocfs2/ocfs_fs.h
58 01-01 linux/pktcdvd.h
5A 14-15 drivers/message/fusion/mptctl.h
5B 00-3F linux/usb/tmc.h
61 00-FF linux/atm*.h, linux/sonet.h
62 00-FF bit3 vme host bridge
62 00-0F linux/dma-buf.h
63 00-7F linux/comstats.h
63 00-7F linux/coda.h
63 00-1F linux/chio.h
63 80-9F arch/s390/include/asm/chsc.h
63 A0-AF arch/x86/include/asm/msr.h
64 00-FF linux/char/drm/drm.h
64 02-40 pcmcia/ds.h
64 F0-FF linux/digi1.h
65 00-FF linux/digi1.h
66 00-1F linux/ext2_fs.h
66 00-1F linux/ext3_fs.h
66 00-0F fs/jfs/jfs_dinode.h
66 00-0F fs/ext4/ext4.h
66 00-0F linux/fs.h
66 00-0F fs/ocfs2/ocfs2_fs.h
66 13-27 linux/fscrypt.h
66 81-8F linux/fsverity.h
67 00-0F linux/usb/gadgetfs.h
67 20-2F linux/usb/g_printer.h
68 00-7F Charon filesystem
68 00-1F linux/hpet.h
68 80-8F fs/hfsplus/ioctl.c
69 00-3F linux/i2o-dev.h
69 0B-1F linux/ipmi.h
69 80-8F linux/i8k.h
69 90-9F linux/iio/*.h
6A 00-3F linux/joystick.h
6B 00-0F linux/spi/spidev.h
6B 00-05 video/kyro.h
6B 10-17 linux/hsi/hsi_char.h
6C 00-3F linux/tcfs_fs.h
6C 40-7F linux/udf_fs_i.h
6D 00-09 linux/mmtimer.h
6D 00-FF linux/mtio.h
6D 00-FF linux/soundcard.h
6D 00-FF linux/synclink.h
6D 00-19 drivers/message/fusion/mptctl.h
6D 00-00 drivers/scsi/megaraid/megaraid_ioctl.h
6E 00-7F linux/ncp_fs.h and fs/ncpfs/ioctl.c
6E 80-8F uapi/linux/nilfs2_api.h
6E E0-FF linux/matroxfb.h
6F 00-1F fs/ocfs2/ocfs2_fs.h
6F 00-03 mtd/ubi-user.h
6F 40-41 mtd/ubi-user.h
6F 01-A1 linux/dvb/*.h
70 00-0F linux/phantom.h
70 00-1F linux/rtc.h
70 40-7F linux/nvram.h
70 80-9F linux/ppdev.h
70 A1-A5 linux/pps.h
71 00-1F linux/serio.h
71 80-FF linux/telephony.h
72 00-1F linux/msdos_fs.h and fs/fat/dir.c
73 00-FF linux/cdk.h
74 00-7F linux/ppp-ioctl.h
74 80-8F linux/isdn_ppp.h
74 90-91 linux/toshiba.h
75 00-1F linux/smb_fs.h
75 00-2F linux/ublk_cmd.h
75 20-3F linux/uvcvideo.h
75 40-4F linux/udmabuf.h
76 00-1F linux/ext2_fs.h
76 00-1F linux/fs.h
76 00-0F linux/sonypi.h
76 00-0F media/v4l2-subdev.h
76 20-27 arch/powerpc/include/uapi/asm/vas-api.h
76 C0-FF linux/meye.h
77 00-FF CERN SCI driver
79 00-1F packet based user level communications
7A 00-3F CAN bus card
7A 40-7F CAN bus card
7A 10-4F drivers/s390/crypto/zcrypt_api.h
7C 00-7F linux/media.h
80 00-1F linux/fb.h
81 00-1F linux/vduse.h
89 00-06 arch/x86/include/asm/sockios.h
89 0B-DF linux/sockios.h
89 E0-EF linux/sockios.h
89 F0-FF linux/sockios.h
8A 00-1F linux/eventpoll.h
8B 00-FF linux/wireless.h
8C 00-3F WiNRADiO driver
90 00-00 drivers/cdrom/sbpcd.h
92 00-0F drivers/usb/mon/mon_bin.c
93 60-7F linux/auto_fs.h
94 00-FF fs/btrfs/ioctl.h
97 00-7F fs/ceph/ioctl.h
99 00-0F 537-Addinboard driver
A0 00-FF linux/sdp/sdp.h
A1 00-00 linux/vtpm_proxy.h
A2 00-FF uapi/linux/acrn.h
A3 80-8F Port ACL in development:
A3 90-9F linux/dtlk.h
A4 00-1F uapi/linux/tee.h
A4 00-1F uapi/asm/sgx.h
A5 01-05 linux/surface_aggregator/cdev.h
A5 20-2F linux/surface_aggregator/dtx.h
AA 00-3F linux/uapi/linux/userfaultfd.h
AB 00-1F linux/nbd.h
AC 00-1F linux/raw.h
AD 00-00 Netfilter device in development:
AE 00-1F linux/kvm.h
AE 40-FF linux/kvm.h
AE 20-3F linux/nitro_enclaves.h
AF 00-1F linux/fsl_hypervisor.h
B0 00-FF RATIO devices in development:
B1 00-1F PPPoX
B2 00-00 arch/powerpc/include/uapi/asm/papr-vpd.h
B2 01-02 arch/powerpc/include/uapi/asm/papr-sysparm.h
B3 00-00 linux/mmc/ioctl.h
B4 00-0F linux/gpio.h
B5 00-0F uapi/linux/rpmsg.h
B6 00-FF linux/fpga-dfl.h
B7 00-FF uapi/linux/remoteproc_cdev.h
B7 00-FF uapi/linux/nsfs.h
B8 01-02 uapi/misc/mrvl_cn10k_dpi.h
C0 00-0F linux/usb/iowarrior.h
CA 00-0F uapi/misc/cxl.h
CA 10-2F uapi/misc/ocxl.h
CA 80-BF uapi/scsi/cxlflash_ioctl.h
CB 00-1F CBM serial IEC bus in development:
CC 00-0F drivers/misc/ibmvmc.h
CD 01-01 linux/reiserfs_fs.h
CE 01-02 uapi/linux/cxl_mem.h
CF 02-02 fs/smb/client/cifs_ioctl.h
DB 00-0F drivers/char/mwave/mwavepub.h
DD 00-3F ZFCP device driver see drivers/s390/scsi/
E5 00-3F linux/fuse.h
EC 00-01 drivers/platform/chrome/cros_ec_dev.h
EE 00-09 uapi/linux/pfrut.h
F3 00-3F drivers/usb/misc/sisusbvga/sisusb.h
F6 00-FF LTTng Linux Trace Toolkit Next Generation
F8 00-FF arch/x86/include/uapi/asm/amd_hsmp.h
FD 00-FF linux/dm-ioctl.h
FE 00-FF linux/isst_if.h
`;
