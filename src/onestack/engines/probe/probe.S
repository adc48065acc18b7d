/*
 * The guest that finds out whether this machine's KVM can run real guests: a 4 KiB firmware that does what every
 * kernel does in its first milliseconds, and tells how far it came.
 *
 * It takes the place of the BIOS (linked for 0xff000, the last page below 1 MiB, where the reset vector is). Each
 * stage writes its digit to the debug console (port 0xe9):
 *
 *   1 real mode          2 protected mode       3 long mode with paging   4 interrupt from software
 *   5 timer interrupts   6 ring 3 and back      7 many SYSCALL/SYSRET     8 page faults, with CR3 switched in each
 *
 * and the end is a write to isa-debug-exit (port 0x501), which makes QEMU exit with status 85.
 */

        .set ROM,      0xf0000          # where the CS base of real mode ends up after the first far jump
        .set IDT,      0x1000
        .set TSS,      0x2000
        .set GDT_COPY, 0x3000           # ltr marks the descriptor busy, so the GDT must be in memory
        .set POINTER,  0x3800           # room for the operands of lidt and lgdt
        .set STACK,    0x6000
        .set TRAPSTACK, 0x8000          # the stack that an interrupt in ring 3 switches to
        .set USERSTACK, 0xa000
        .set MAP_A,    0x20000          # four pages: PML4, PDPT, PD of the first GiB, PD of the fourth GiB
        .set MAP_B,    0x24000          # three pages: the same without the second 2 MiB
        .set LAPIC,    0xfee00000
        .set ABSENT,   0x200000         # an address that MAP_A has and MAP_B has not
        .set TICKS,    8
        .set CALLS,    4000
        .set FAULTS,   150

        .set CODE32, 0x08
        .set DATA,   0x10
        .set CODE64, 0x18               # SYSCALL wants the kernel's data segment right after its code: 0x20
        .set USER_BASE, 0x28            # SYSRET: data at USER_BASE+8, 64-bit code at USER_BASE+16
        .set USERDATA, 0x30 | 3
        .set USERCODE, 0x38 | 3
        .set TASK,   0x40

        .macro  stage digit
        movb    $(0x30 + \digit), %al
        outb    %al, $0xe9
        .endm

        .macro  gate vector, handler, kind
        movl    $(IDT + 16 * \vector), %edi
        movl    $\handler, %eax
        movb    $\kind, %dl
        call    set_gate
        .endm

        .section .text
        .code16
real:   cli
        cld
        stage   1
        xorw    %ax, %ax
        movw    %ax, %ds
        movw    %ax, %ss
        movw    $STACK, %sp
        lgdtl   %cs:(gdt_pointer - ROM)
        movl    %cr0, %eax
        orb     $1, %al
        movl    %eax, %cr0
        ljmpl   $CODE32, $protected

        .code32
protected:
        movw    $DATA, %ax
        movw    %ax, %ds
        movw    %ax, %es
        movw    %ax, %ss
        movl    $STACK, %esp
        stage   2
        xorl    %eax, %eax              # everything that tables are put in starts as zeros
        movl    $IDT, %edi
        movl    $((0x4000 - IDT) / 4), %ecx
        rep stosl
        movl    $MAP_A, %edi
        movl    $(7 * 4096 / 4), %ecx
        rep stosl
        movl    $(MAP_A + 0x1007), MAP_A
        movl    $(MAP_A + 0x2007), MAP_A + 0x1000
        movl    $(MAP_A + 0x3007), MAP_A + 0x1018
        movl    $0x000087, MAP_A + 0x2000
        movl    $0x200087, MAP_A + 0x2008
        movl    $(LAPIC + 0x93), MAP_A + 0x3000 + ((LAPIC >> 21) & 511) * 8
        movl    $(MAP_B + 0x1007), MAP_B
        movl    $(MAP_B + 0x2007), MAP_B + 0x1000
        movl    $0x000087, MAP_B + 0x2000
        movl    $MAP_A, %eax
        movl    %eax, %cr3
        movl    %cr4, %eax
        orl     $0x620, %eax            # PAE, OSFXSR, OSXMMEXCPT
        movl    %eax, %cr4
        movl    $0xc0000080, %ecx       # EFER: SCE and LME
        rdmsr
        orl     $0x101, %eax
        wrmsr
        movl    %cr0, %eax
        andb    $~4, %al                # no x87 emulation
        orl     $0x80010002, %eax       # PG, WP, MP
        movl    %eax, %cr0
        ljmpl   $CODE64, $long

        .code64
long:   movl    $STACK, %esp
        stage   3
        movl    $gdt, %esi
        movl    $GDT_COPY, %edi
        movl    $(gdt_end - gdt), %ecx
        rep movsb
        movl    $TRAPSTACK, TSS + 4     # rsp0
        movw    $(gdt_end - gdt - 1), POINTER
        movl    $GDT_COPY, POINTER + 2
        lgdt    POINTER
        movw    $TASK, %ax
        ltr     %ax
        gate    0x0e, on_page_fault, 0x8e
        gate    0x40, on_timer, 0x8e
        gate    0x60, on_software, 0x8e
        gate    0x61, on_user, 0xee     # the only one that ring 3 may raise
        movw    $0xfff, POINTER
        movl    $IDT, POINTER + 2
        lidt    POINTER
        int     $0x60

        movl    $pic_words, %esi        # both controllers: the first starts at vector 0x40, only the timer is let in
        movl    $(pic_words_end - pic_words) / 2, %ecx
1:      lodsw
        movzbl  %al, %edx
        movb    %ah, %al
        outb    %al, %dx
        loop    1b
        movl    $LAPIC, %edi            # the interrupt controller's line reaches the processor through its LINT0
        movl    $0x1ff, 0xf0(%rdi)
        movl    $0x700, 0x350(%rdi)
        xorl    %r12d, %r12d
        sti
2:      hlt
        cmpl    $TICKS, %r12d
        jb      2b
        cli
        stage   5

        xorl    %edx, %edx
        movl    $0xc0000082, %ecx       # LSTAR: where SYSCALL goes
        movl    $on_syscall, %eax
        wrmsr
        movl    $0xc0000084, %ecx       # FMASK: with interrupts off
        movl    $0x200, %eax
        wrmsr
        movl    $0xc0000081, %ecx       # STAR: the segments of both ways
        xorl    %eax, %eax
        movl    $((USER_BASE | 3) << 16 | CODE64), %edx
        wrmsr
        pushq   $USERDATA
        pushq   $USERSTACK
        pushq   $2
        pushq   $USERCODE
        pushq   $user
        iretq

user:   int     $0x61
        movl    $CALLS, %ebx
3:      syscall
        decl    %ebx
        jnz     3b
        movl    $1, %ebp                # tells the handler that this was the last
        syscall

on_syscall:
        testl   %ebp, %ebp
        jnz     4f
        sysretq
4:      movl    $STACK, %esp
        stage   7
        xorl    %r13d, %r13d
        movl    $FAULTS, %ebx
5:      movl    $MAP_B, %eax
        movq    %rax, %cr3
        movl    ABSENT, %eax
        decl    %ebx
        jnz     5b
        cmpl    $FAULTS, %r13d
        jne     6f
        stage   8
        movw    $0x501, %dx
        movb    $42, %al
        outb    %al, %dx
6:      cli
        hlt
        jmp     6b

on_page_fault:
        incl    %r13d
        pushq   %rax
        movl    $MAP_A, %eax
        movq    %rax, %cr3
        popq    %rax
        addq    $8, %rsp                # the error code
        iretq

on_timer:
        incl    %r12d
        pushq   %rax
        movb    $0x20, %al
        outb    %al, $0x20
        popq    %rax
        iretq

on_software:
        stage   4
        iretq

on_user:
        stage   6
        iretq

set_gate:                               # edi: the slot, eax: the handler, dl: its type
        movw    %ax, (%rdi)
        movw    $CODE64, 2(%rdi)
        movb    %dl, 5(%rdi)
        shrl    $16, %eax
        movw    %ax, 6(%rdi)
        ret

pic_words:                              # pairs of port and value
        .byte   0x20, 0x11, 0x21, 0x40, 0x21, 0x04, 0x21, 0x01, 0x21, 0xfe
        .byte   0xa0, 0x11, 0xa1, 0x48, 0xa1, 0x02, 0xa1, 0x01, 0xa1, 0xff
        .byte   0x43, 0x34, 0x40, 0x00, 0x40, 0x08      # channel 0 at 583 Hz
pic_words_end:

        .balign 8
gdt:    .quad   0
        .quad   0x00cf9b000000ffff      # 08 CODE32
        .quad   0x00cf93000000ffff      # 10 DATA
        .quad   0x00af9b000000ffff      # 18 CODE64
        .quad   0x00cf93000000ffff      # 20 data of the kernel, for SYSCALL
        .quad   0                       # 28 would be 32-bit code of users
        .quad   0x00cff3000000ffff      # 30 data of users
        .quad   0x00affb000000ffff      # 38 64-bit code of users
        .quad   0x0000890000000067 | (TSS << 16)        # 40 TASK
        .quad   0
gdt_end:
gdt_pointer:
        .word   gdt_end - gdt - 1
        .long   gdt

        .org    0xff0                   # the reset vector
        .code16
        ljmp    $0xf000, $(real - ROM)
        .org    0x1000
