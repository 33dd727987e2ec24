// Devices that compute nothing, for torch's CPU build: guards and hooks, which is what FakeTensorMode
// needs to run forward and backward on them. SIM_DEVICE says which of them is there.
#include <ATen/detail/CUDAHooksInterface.h>
#include <ATen/detail/MPSHooksInterface.h>
#include <c10/core/impl/DeviceGuardImplInterface.h>

#include <cstdlib>
#include <string>

namespace c10::impl {

template <DeviceType D>
struct Idle : public DeviceGuardImplInterface {
  static Stream stream() { return Stream(Stream::DEFAULT, Device(D, 0)); }
  DeviceType type() const override { return D; }
  Device exchangeDevice(Device) const override { return Device(D, 0); }
  Device getDevice() const override { return Device(D, 0); }
  void setDevice(Device) const override {}
  void uncheckedSetDevice(Device) const noexcept override {}
  Stream getStream(Device) const noexcept override { return stream(); }
  Stream getNewStream(Device, int = 0) const override { return stream(); }
  Stream exchangeStream(Stream) const noexcept override { return stream(); }
  DeviceIndex deviceCount() const noexcept override { return 1; }
  void record(void**, const Stream&, const DeviceIndex, const EventFlag) const override {}
  void block(void*, const Stream&) const override {}
  bool queryEvent(void*) const override { return true; }
  void destroyEvent(void*, const DeviceIndex) const noexcept override {}
  bool queryStream(const Stream&) const override { return true; }
  void synchronizeStream(const Stream&) const override {}
};

using Cuda = Idle<DeviceType::CUDA>;
using Mps = Idle<DeviceType::MPS>;
C10_REGISTER_GUARD_IMPL(CUDA, Cuda)
C10_REGISTER_GUARD_IMPL(MPS, Mps)

}  // namespace c10::impl

namespace at {

bool simulated(const char* name) {
  const char* device = std::getenv("SIM_DEVICE");
  return device && std::string(device) == name;
}

struct CudaHooks : public CUDAHooksInterface {
  CudaHooks(CUDAHooksArgs) {}
  void init() const override {}
  bool hasCUDA() const override { return true; }
  int getNumGPUs() const override { return 1; }
  bool isAvailable() const override { return true; }
  bool isBuilt() const override { return simulated("cuda"); }
  bool hasPrimaryContext(DeviceIndex) const override { return false; }
  DeviceIndex deviceCount() const override { return 1; }
  DeviceIndex getCurrentDevice() const override { return 0; }
  DeviceIndex current_device() const override { return 0; }
};

struct MpsHooks : public MPSHooksInterface {
  bool hasMPS() const override { return true; }
  bool isAvailable() const override { return true; }
  bool isBuilt() const override { return simulated("mps"); }
  bool hasPrimaryContext(DeviceIndex) const override { return false; }
};

namespace {
C10_REGISTER_TYPED_CLASS(CUDAHooksRegistry, "CUDAHooks", CudaHooks);
C10_REGISTER_TYPED_CLASS(MPSHooksRegistry, "MPSHooks", MpsHooks);
}  // namespace

}  // namespace at
