// The icons of the page, all in one weight.
export {
  AlertTriangle, ArrowDownUp, Armchair, Bell, CalendarClock, Check, ChevronDown, ChevronLeft, ChevronRight, CircleUser, ClipboardPaste, Clock,
  Download, EllipsisVertical, Eye, Flag, GripVertical, Home, Lock, LockOpen, Maximize, Menu, MessageCircle, Minus, Pencil, Pin, Plus,
  NotebookPen, Paperclip, Printer, Redo2, Reply, RotateCcw, Scale, Search, Settings, SlidersHorizontal, SmilePlus, SquareCheckBig, Store, Trash2, Undo2, Upload, UserCheck, UserPlus, Users, Utensils, Wallet, WifiOff, X, Heart, Sparkles, MapPin
} from 'lucide-preact'
