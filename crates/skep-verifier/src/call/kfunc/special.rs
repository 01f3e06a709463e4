//! [`Special`]: kernel functions that the verifier knows by name, since their types do not say what they do.

macro_rules! specials {
    ($( $(#[doc = $doc:literal])* $name:ident = $text:literal; )*) => {
        /// What is special about a kernel function (`enum special_kfunc_type`).
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        pub(crate) enum Special {
            /// Nothing.
            None,
            $( #[doc = concat!("`", $text, "`.")] $name, )*
        }

        impl Special {
            /// By the name of a function of the kernel itself.
            pub(crate) fn by_name(name: &str) -> Special {
                match name {
                    $( $text => Special::$name, )*
                    _ => Special::None,
                }
            }
        }
    };
}

specials! {
    ObjNew = "bpf_obj_new_impl";
    ObjDrop = "bpf_obj_drop_impl";
    PercpuObjNew = "bpf_percpu_obj_new_impl";
    PercpuObjDrop = "bpf_percpu_obj_drop_impl";
    RefcountAcquire = "bpf_refcount_acquire_impl";
    ListPushFront = "bpf_list_push_front_impl";
    ListPushBack = "bpf_list_push_back_impl";
    ListPopFront = "bpf_list_pop_front";
    ListPopBack = "bpf_list_pop_back";
    ListFront = "bpf_list_front";
    ListBack = "bpf_list_back";
    RbtreeRemove = "bpf_rbtree_remove";
    RbtreeAdd = "bpf_rbtree_add_impl";
    RbtreeFirst = "bpf_rbtree_first";
    RbtreeRoot = "bpf_rbtree_root";
    RbtreeLeft = "bpf_rbtree_left";
    RbtreeRight = "bpf_rbtree_right";
    CastToKernCtx = "bpf_cast_to_kern_ctx";
    RdonlyCast = "bpf_rdonly_cast";
    LocalIrqSave = "bpf_local_irq_save";
    LocalIrqRestore = "bpf_local_irq_restore";
    ResSpinLock = "bpf_res_spin_lock";
    ResSpinUnlock = "bpf_res_spin_unlock";
    ResSpinLockIrqsave = "bpf_res_spin_lock_irqsave";
    ResSpinUnlockIrqrestore = "bpf_res_spin_unlock_irqrestore";
    DynptrFromSkb = "bpf_dynptr_from_skb";
    DynptrFromXdp = "bpf_dynptr_from_xdp";
    DynptrFromSkbMeta = "bpf_dynptr_from_skb_meta";
    DynptrSlice = "bpf_dynptr_slice";
    DynptrSliceRdwr = "bpf_dynptr_slice_rdwr";
    DynptrClone = "bpf_dynptr_clone";
    IterCssTaskNew = "bpf_iter_css_task_new";
    WqInit = "bpf_wq_init";
    WqSetCallback = "bpf_wq_set_callback_impl";
    TaskWorkSignal = "bpf_task_work_schedule_signal_impl";
    TaskWorkResume = "bpf_task_work_schedule_resume_impl";
    SessionCookie = "bpf_session_cookie";
    Throw = "bpf_throw";
    XdpPullData = "bpf_xdp_pull_data";
    Trap = "__bpf_trap";
}

impl Special {
    /// Whether it makes a saved interrupt state.
    pub(crate) fn saves_irq(self) -> bool {
        matches!(self, Special::LocalIrqSave | Special::ResSpinLockIrqsave)
    }

    /// Whether it takes or gives back a resilient lock.
    pub(crate) fn is_res_lock(self) -> bool {
        matches!(
            self,
            Special::ResSpinLock
                | Special::ResSpinUnlock
                | Special::ResSpinLockIrqsave
                | Special::ResSpinUnlockIrqrestore
        )
    }

    /// Whether it works on a list or a tree (`is_bpf_graph_api_kfunc`).
    pub(crate) fn is_graph(self) -> bool {
        matches!(
            self,
            Special::ListPushFront
                | Special::ListPushBack
                | Special::ListPopFront
                | Special::ListPopBack
                | Special::ListFront
                | Special::ListBack
                | Special::RbtreeRemove
                | Special::RbtreeAdd
                | Special::RbtreeFirst
                | Special::RbtreeRoot
                | Special::RbtreeLeft
                | Special::RbtreeRight
                | Special::RefcountAcquire
        )
    }
}
