//! A body of your own: any Burn module that turns images into features.
//!
//! In: a module that is an [`OwnBody`]. Out: [`BoxedBody`], the same without a type parameter, so that no public type has one.

use std::any::Any;
use std::fmt::Debug;

use burn::module::{
    Content, Devices, Flag, Module, ModuleDisplay, ModuleDisplayDefault, ModuleMapper, ModuleVisitor, Param,
};
use burn::tensor::{Device, Tensor};

use super::ParamGroup;
use crate::nn::Pass;

/// A network of your own, without its classifier. It becomes an [`Arch`](crate::Arch) by [`OwnArch`](crate::OwnArch).
///
/// Its parameters are floats of one to six dimensions. Give a norm layer that keeps statistics as our
/// [`BatchNorm`](crate::model::BatchNorm): a pass collects the statistics of a batch, and Burn's own layer would write them at once.
///
/// `crates/sciurus/examples/own_network.rs` trains one.
pub trait OwnBody: Module + Sync + 'static {
    /// Images `[batch, 3, height, width]` to features `[batch, channel, h, w]`. `pass` says whether it trains; it is handed on to
    /// norm layers.
    fn forward(&self, images: Tensor<4>, pass: &mut Pass) -> Tensor<4>;

    /// The parameter group, 0 (early) or 1 (late), of a parameter by its dotted name, such as `stages.3.conv.weight`. Fine-tuning
    /// changes early ones less.
    fn group(&self, name: &str) -> ParamGroup {
        let _ = name;
        ParamGroup(0)
    }
}

/// An [`OwnBody`] without its type.
#[derive(Debug)]
pub struct BoxedBody(Box<dyn Erased>);

impl BoxedBody {
    /// Boxes a body.
    pub fn new(body: impl OwnBody) -> Self {
        Self(Box::new(body))
    }

    /// Images `[batch, 3, height, width]` to features `[batch, channel, h, w]`.
    pub(super) fn forward(&self, images: Tensor<4>, pass: &mut Pass) -> Tensor<4> {
        self.0.forward_erased(images, pass)
    }

    /// The group of a parameter.
    pub(super) fn group(&self, name: &str) -> ParamGroup {
        self.0.group_erased(name)
    }
}

impl Clone for BoxedBody {
    fn clone(&self) -> Self {
        Self(self.0.copied())
    }
}

/// What a [`Module`] can do, without generic functions.
trait Erased: Debug + Send + Sync {
    fn forward_erased(&self, images: Tensor<4>, pass: &mut Pass) -> Tensor<4>;
    fn group_erased(&self, name: &str) -> ParamGroup;
    fn copied(&self) -> Box<dyn Erased>;
    fn devices_with(&self, devices: Devices) -> Devices;
    fn forked(self: Box<Self>, device: &Device) -> Box<dyn Erased>;
    fn moved(self: Box<Self>, device: &Device) -> Box<dyn Erased>;
    fn trained(self: Box<Self>) -> Box<dyn Erased>;
    fn validated(&self) -> Box<dyn Erased>;
    fn materialized(self: Box<Self>) -> Box<dyn Erased>;
    fn visited(&self, visitor: &mut dyn Visit);
    fn mapped(self: Box<Self>, mapper: &mut dyn Map) -> Box<dyn Erased>;
}

impl<B: OwnBody> Erased for B {
    fn forward_erased(&self, images: Tensor<4>, pass: &mut Pass) -> Tensor<4> {
        self.forward(images, pass)
    }

    fn group_erased(&self, name: &str) -> ParamGroup {
        self.group(name)
    }

    fn copied(&self) -> Box<dyn Erased> {
        Box::new(self.clone())
    }

    fn devices_with(&self, devices: Devices) -> Devices {
        self.collect_devices(devices)
    }

    fn forked(self: Box<Self>, device: &Device) -> Box<dyn Erased> {
        Box::new(self.fork(device))
    }

    fn moved(self: Box<Self>, device: &Device) -> Box<dyn Erased> {
        Box::new(self.to_device(device))
    }

    fn trained(self: Box<Self>) -> Box<dyn Erased> {
        Box::new(self.train())
    }

    fn validated(&self) -> Box<dyn Erased> {
        Box::new(self.valid())
    }

    fn materialized(self: Box<Self>) -> Box<dyn Erased> {
        Box::new(self.materialize())
    }

    fn visited(&self, visitor: &mut dyn Visit) {
        self.visit(&mut Within(visitor));
    }

    fn mapped(self: Box<Self>, mapper: &mut dyn Map) -> Box<dyn Erased> {
        Box::new(self.map(&mut Within(mapper)))
    }
}

impl Module for BoxedBody {
    fn collect_devices(&self, devices: Devices) -> Devices {
        self.0.devices_with(devices)
    }

    fn fork(self, device: &Device) -> Self {
        Self(self.0.forked(device))
    }

    fn to_device(self, device: &Device) -> Self {
        Self(self.0.moved(device))
    }

    fn train(self) -> Self {
        Self(self.0.trained())
    }

    fn valid(&self) -> Self {
        Self(self.0.validated())
    }

    fn materialize(self) -> Self {
        Self(self.0.materialized())
    }

    fn visit<Visitor: ModuleVisitor>(&self, visitor: &mut Visitor) {
        self.0.visited(&mut Without(visitor));
    }

    fn map<Mapper: ModuleMapper>(self, mapper: &mut Mapper) -> Self {
        Self(self.0.mapped(&mut Without(mapper)))
    }
}

impl ModuleDisplayDefault for BoxedBody {
    fn content(&self, content: Content) -> Option<Content> {
        Some(content)
    }
}

impl ModuleDisplay for BoxedBody {}

/// A visitor or mapper inside the box, which passes everything out to one without generic functions.
struct Within<'a, T: ?Sized>(&'a mut T);

/// One outside of the box, which takes it from there.
struct Without<'a, T>(&'a mut T);

/// A visitor and a mapper without generic functions: one function for each number of dimensions.
macro_rules! by_dimensions {
    ($($name:ident: $dimensions:literal),*) => {
        trait Visit {
            fn enter(&mut self, name: &str, container: &str);
            fn exit(&mut self, name: &str, container: &str);
            fn flag(&mut self, flag: &Param<Flag>);
            $(fn $name(&mut self, param: &Param<Tensor<$dimensions>>);)*
        }

        trait Map {
            fn enter(&mut self, name: &str, container: &str);
            fn exit(&mut self, name: &str, container: &str);
            fn flag(&mut self, flag: Param<Flag>) -> Param<Flag>;
            $(fn $name(&mut self, param: Param<Tensor<$dimensions>>) -> Param<Tensor<$dimensions>>;)*
        }

        impl<V: ModuleVisitor> Visit for Without<'_, V> {
            fn enter(&mut self, name: &str, container: &str) {
                self.0.enter_module(name, container);
            }

            fn exit(&mut self, name: &str, container: &str) {
                self.0.exit_module(name, container);
            }

            fn flag(&mut self, flag: &Param<Flag>) {
                self.0.visit_flag(flag);
            }

            $(fn $name(&mut self, param: &Param<Tensor<$dimensions>>) {
                self.0.visit_float(param);
            })*
        }

        impl<M: ModuleMapper> Map for Without<'_, M> {
            fn enter(&mut self, name: &str, container: &str) {
                self.0.enter_module(name, container);
            }

            fn exit(&mut self, name: &str, container: &str) {
                self.0.exit_module(name, container);
            }

            fn flag(&mut self, flag: Param<Flag>) -> Param<Flag> {
                self.0.map_flag(flag)
            }

            $(fn $name(&mut self, param: Param<Tensor<$dimensions>>) -> Param<Tensor<$dimensions>> {
                self.0.map_float(param)
            })*
        }

        impl ModuleVisitor for Within<'_, dyn Visit + '_> {
            fn enter_module(&mut self, name: &str, container: &str) {
                self.0.enter(name, container);
            }

            fn exit_module(&mut self, name: &str, container: &str) {
                self.0.exit(name, container);
            }

            fn visit_flag(&mut self, flag: &Param<Flag>) {
                self.0.flag(flag);
            }

            fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
                let param: &dyn Any = param;
                $(if let Some(param) = param.downcast_ref::<Param<Tensor<$dimensions>>>() {
                    return self.0.$name(param);
                })*
            }
        }

        impl ModuleMapper for Within<'_, dyn Map + '_> {
            fn enter_module(&mut self, name: &str, container: &str) {
                self.0.enter(name, container);
            }

            fn exit_module(&mut self, name: &str, container: &str) {
                self.0.exit(name, container);
            }

            fn map_flag(&mut self, flag: Param<Flag>) -> Param<Flag> {
                self.0.flag(flag)
            }

            fn map_float<const D: usize>(&mut self, mut param: Param<Tensor<D>>) -> Param<Tensor<D>> {
                let any: &mut dyn Any = &mut param;
                $(if let Some(param) = any.downcast_mut::<Param<Tensor<$dimensions>>>() {
                    *param = self.0.$name(param.clone());
                })*
                param
            }
        }
    };
}

by_dimensions!(one: 1, two: 2, three: 3, four: 4, five: 5, six: 6);
